"""What a client and the command server say to each other, on a Unix stream socket.

A frame is four bytes of length (big endian) and a body: one word that says what it is, then, after a NUL
byte, what belongs to it. Arguments, environment and paths cannot hold NUL, so NUL also separates them.
JSON would do the same, but importing it costs a third of a client's whole life; `_socket` is what `socket`
wraps, without the 5 ms of its enums.

    client → server   run REQUEST (with three file descriptors), signal N, text BYTES, failed ERRNO
    server → client   begun, read PATH, shown NODES, status N, died SIGNAL, refused TEXT, other TEXT
"""

import os
import sys
from _socket import AF_UNIX, CMSG_SPACE, MSG_CMSG_CLOEXEC, SCM_RIGHTS, SOCK_STREAM, SOL_SOCKET
from _socket import socket as Socket  # noqa: N812

#: The number of this conversation; another one is not spoken to.
PROTOCOL = 1
#: A longer frame is a mistake: arguments are at most 2 MiB on Linux, files come in one frame.
MOST = 64 << 20
#: Unix socket paths end here (108 bytes with the NUL).
LONGEST_PATH = 107
FD_BYTES = 4
STREAMS = 3


class ConversationLost(Exception):
    """The other side has gone, or says what nobody can understand."""


def socket_path(home: str) -> str:
    """Where the command server of this SERVAL_HOME listens."""
    return f"{home}/run/command.sock"


def new_socket() -> Socket:
    """A Unix stream socket that no child inherits by accident."""
    return Socket(AF_UNIX, SOCK_STREAM)


def frame(word: str, *fields: bytes) -> bytes:
    """One frame as it travels."""
    body = b"\0".join([word.encode(), *fields])
    return len(body).to_bytes(4, "big") + body


def send(sock: Socket, word: str, *fields: bytes) -> None:
    """Send one frame. Raises ConversationLost."""
    try:
        sock.sendall(frame(word, *fields))
    except OSError as error:
        raise ConversationLost(str(error)) from error


def send_with_streams(sock: Socket, data: bytes, streams: list[int]) -> None:
    """Send bytes, and with the first of them these file descriptors. Raises ConversationLost."""
    rights = b"".join(stream.to_bytes(FD_BYTES, sys.byteorder) for stream in streams)
    try:
        sent = sock.sendmsg([data], [(SOL_SOCKET, SCM_RIGHTS, rights)])
        if sent < len(data):  # to send nothing is an error too where the answer came at once
            sock.sendall(data[sent:])
    except OSError as error:
        raise ConversationLost(str(error)) from error


def receive(sock: Socket) -> tuple[str, bytes]:
    """The next frame: its word, and what follows it. Raises ConversationLost, also at the end."""
    return _body(sock, _exactly(sock, 4))


def receive_with_streams(sock: Socket) -> tuple[str, bytes, list[int]]:
    """The first frame and the file descriptors that came with it. Raises ConversationLost."""
    try:
        head, ancillary, _, _ = sock.recvmsg(4, CMSG_SPACE(STREAMS * FD_BYTES), MSG_CMSG_CLOEXEC)
    except OSError as error:
        raise ConversationLost(str(error)) from error
    streams = [
        int.from_bytes(data[start : start + FD_BYTES], sys.byteorder)
        for level, kind, data in ancillary
        if (level, kind) == (SOL_SOCKET, SCM_RIGHTS)
        for start in range(0, len(data) - FD_BYTES + 1, FD_BYTES)
    ]
    word, rest = _body(sock, head + _exactly(sock, 4 - len(head)))
    return word, rest, streams


def _body(sock: Socket, head: bytes) -> tuple[str, bytes]:
    size = int.from_bytes(head, "big")
    if size > MOST:
        raise ConversationLost(f"a frame of {size} bytes")
    word, _, rest = _exactly(sock, size).partition(b"\0")
    return word.decode("ascii", "replace"), rest


def _exactly(sock: Socket, size: int) -> bytes:
    parts: list[bytes] = []
    while size:
        try:
            part = sock.recv(min(size, 1 << 20))
        except OSError as error:
            raise ConversationLost(str(error)) from error
        if not part:
            raise ConversationLost("the connection ended")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def reach(path: str) -> str:
    """A name for a socket's path that is short enough for the kernel; good while this process lives."""
    if len(os.fsencode(path)) <= LONGEST_PATH:
        return path
    folder, _, name = path.rpartition("/")
    return f"/proc/self/fd/{os.open(folder, os.O_PATH | os.O_CLOEXEC)}/{name}"


def pack(fields: list[str]) -> bytes:
    """A list of texts without NUL as one field: how many, then each."""
    return b"\0".join([str(len(fields)).encode(), *(os.fsencode(field) for field in fields)])


def unpack(data: bytes) -> list[list[str]]:
    """The lists that were packed one after another. Raises ConversationLost."""
    words = [os.fsdecode(word) for word in data.split(b"\0")]
    lists: list[list[str]] = []
    at = 0
    while at < len(words):
        if not words[at].isdecimal() or at + 1 + int(words[at]) > len(words):
            raise ConversationLost("a list that is not one")
        end = at + 1 + int(words[at])
        lists.append(words[at + 1 : end])
        at = end
    return lists
