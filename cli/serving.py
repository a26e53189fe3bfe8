"""One command inside the command server: the child process that does it for its client.

The child holds the whole conversation: a thread hears the client (signals, files that were asked for, its
end), the main thread runs the same command function as a process of the user's own would. It needs its
server no more, so a command outlives it.
"""

import os
import queue
import signal
import sys
import threading
import time
import traceback
from _socket import socket as Socket  # noqa: N812
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BufferedReader, TextIOWrapper
from pathlib import Path
from typing import Any

from cli import wire
from cli.context import Context, user_name
from cli.entry import COMMANDS, INTERRUPTED, execute
from cli.farstream import Remote, RemoteInput
from cli.objects import printable
from cli.wire import ConversationLost
from core.errors import ServalError
from core.release import RELEASE
from db.attributes import SECRET, SECRET_COLUMNS
from db.home import open_home

#: A client that says nothing for so long after it connected has no command.
FIRST_WORD_S = 10.0
HIDDEN = "********"
LONGEST_LOG = 300
CLIENT_GONE = 129


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asked for."""

    request: str
    home: str
    cwd: Path
    name: str
    argv: list[str]
    env: dict[str, str]
    streams: list[str]
    again: bool
    shown: frozenset[str]


class Refused(ServalError):
    """The client is told why, and does not run the command elsewhere."""


class Other(ServalError):
    """Not for this server: the client runs the command in its own process."""


def parse(rest: bytes) -> Request:
    """The request of a `run` frame. Raises Other for another release, Refused for nonsense."""
    protocol, _, _ = rest.partition(b"\0")[2].partition(b"\0")
    if protocol != str(wire.PROTOCOL).encode():
        raise Other(f"the command server speaks another protocol (its release is {RELEASE})")
    try:
        about, argv, env, streams, again, shown = wire.unpack(rest)
        _, release, request, home, cwd, name = about
    except (ConversationLost, ValueError):
        raise Refused("the request cannot be read") from None
    if release != RELEASE:
        raise Other(f"the command server is of release {RELEASE}, this command of {release}; restart it")
    if name not in COMMANDS or len(streams) != wire.STREAMS:
        raise Refused(f"the command server knows no command '{name}'")
    pairs = dict(word.split("=", 1) for word in env if "=" in word)
    return Request(request, home, Path(cwd), name, argv, pairs, streams, bool(again), frozenset(shown))


def check_home(asked: Request, env: Mapping[str, str]) -> None:
    """Raises Other when the client means another home, database, broker or name than the server."""
    own = open_home(env)
    theirs = open_home({**asked.env, "SERVAL_HOME": asked.home})
    for word in ("database", "broker", "name", "mn", "server"):
        if getattr(own, word) != getattr(theirs, word):
            raise Other(f"the command server of {own.path} uses another {word} than this command")
    if not own.path.samefile(theirs.path):
        raise Other(f"the command server works for {own.path}")


@dataclass(slots=True)
class Conversation:
    """The client at the other end of the socket, heard by a thread."""

    sock: Socket
    over: threading.Event = field(default_factory=threading.Event)
    _files: queue.SimpleQueue[bytes | int] = field(default_factory=queue.SimpleQueue)
    _typed: queue.SimpleQueue[bytes] = field(default_factory=queue.SimpleQueue)
    _go_on: threading.Event = field(default_factory=threading.Event)
    _main: int = field(default_factory=threading.get_ident)

    def begin(self) -> None:
        """Hear the client from now on; called by the main thread."""
        signal.signal(signal.SIGTSTP, lambda *_: self._go_on.wait())
        threading.Thread(target=self._hear, daemon=True).start()

    def _hear(self) -> None:
        try:
            while True:
                word, rest = wire.receive(self.sock)
                if word == "signal":
                    self._signal(int(rest))
                elif word == "text":
                    self._files.put(rest)
                elif word == "failed":
                    self._files.put(int(rest))
                elif word == "typed":
                    self._typed.put(rest)
        except (ConversationLost, ValueError):
            if not self.over.is_set():
                os._exit(CLIENT_GONE)

    def _signal(self, number: int) -> None:
        """The real signal, to the main thread: Python wakes it from what it waits for."""
        if number == signal.SIGCONT:
            self._go_on.set()
            return
        if number == signal.SIGTSTP:
            self._go_on.clear()
        signal.pthread_kill(self._main, number)

    def read_file(self, path: Path) -> bytes:
        """A file, read by the client. Raises OSError as Path.read_bytes does."""
        wire.send(self.sock, "read", os.fsencode(path))
        found = self._files.get()
        if isinstance(found, int):
            raise OSError(found, os.strerror(found), str(path))
        return found

    def read_input(self) -> bytes:
        """What comes next on the client's standard input; empty at its end."""
        wire.send(self.sock, "input")
        return self._typed.get()

    def note_shown(self, nodes: list[str]) -> None:
        """Tell the client what it has seen, for the case that we are lost."""
        wire.send(self.sock, "shown", *(os.fsencode(node) for node in nodes))


def serve(sock: Socket, uid: int, log: int, env: Mapping[str, str], remote: Remote | None = None) -> int:
    """Do the command that the client at `sock` asks for; its exit status. `log` is a file descriptor."""
    began = time.monotonic()
    sock.settimeout(FIRST_WORD_S)
    try:
        word, rest, streams = wire.receive_with_streams(sock)
        sock.settimeout(None)
        if word != "run" or len(streams) != wire.STREAMS:
            raise Refused("the request cannot be read")
        asked = parse(rest)
        check_home(asked, env)
        wire.send(sock, "begun")
    except ConversationLost:
        return CLIENT_GONE
    except ServalError as error:
        wire.send(sock, "other" if isinstance(error, Other) else "refused", os.fsencode(error.message))
        return 1
    conversation = Conversation(sock)
    context = make_context(asked, uid, streams, conversation, remote)
    conversation.begin()
    status = guarded(asked, context)
    conversation.over.set()
    seconds = time.monotonic() - began
    write_log(log, f"{context.who} {masked(asked.name, asked.argv)}: status {status}, {seconds:.3f} s")
    try:
        wire.send(sock, "status", str(status).encode())
    except ConversationLost:
        return CLIENT_GONE
    return status


def guarded(asked: Request, context: Context) -> int:
    """The exit status; a mistake in Serval keeps its traceback, as in a process of its own."""
    try:
        return execute(asked.name, asked.argv, context)
    except ConversationLost:
        return CLIENT_GONE
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception:  # noqa: BLE001  what Python itself does with it at the end of a process
        traceback.print_exc(file=context.err)
        context.err.flush()
        return 1


def make_context(
    asked: Request, uid: int, streams: list[int], conversation: Conversation, remote: Remote | None = None
) -> Context:
    """Put the client's streams, folder and environment in place of ours."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = _stream(0, asked.streams[0])
    sys.stdout = _stream(1, asked.streams[1])
    sys.stderr = _stream(2, asked.streams[2])
    if remote:
        encoding, errors, *_ = asked.streams[0].split()
        raw = RemoteInput(conversation.read_input, remote.typing)
        sys.stdin = TextIOWrapper(BufferedReader(raw), encoding, errors)
    os.environ.clear()
    os.environ.update(asked.env)
    time.tzset()
    try:
        os.chdir(asked.cwd)
    except OSError:
        os.chdir("/")
    return Context(
        out=sys.stdout,
        err=sys.stderr,
        stdin=sys.stdin,
        env=asked.env,
        cwd=asked.cwd,
        who=remote.who if remote else user_name(uid, asked.env),
        terminal=sys.stdout.isatty(),
        read_file=conversation.read_file,
        request=asked.request,
        again=asked.again,
        shown=asked.shown,
        note_shown=conversation.note_shown,
    )


def _stream(number: int, setting: str) -> TextIOWrapper:
    """A standard stream that writes as the client's own would."""
    encoding, errors, line, through = setting.split()
    unbuffered = number > 0 and through == "1"  # PYTHONUNBUFFERED: Python leaves the buffer out then
    mode, buffering = ("wb" if number else "rb"), (0 if unbuffered else -1)
    raw: Any = open(number, mode, buffering, closefd=False)  # noqa: SIM115
    return TextIOWrapper(raw, encoding, errors, line_buffering=line == "1", write_through=through == "1")


def masked(name: str, argv: list[str]) -> str:
    """The command for the log: values of passwords hidden, nothing that a terminal obeys, not too long."""
    words = [name]
    for word in argv:
        key, equals, _ = word.partition("=")
        named = key.rstrip("+,^")  # nodech's and chtab's operators
        secret = equals and ("password" in word.lower() or named in SECRET or named in SECRET_COLUMNS)
        words.append(f"{key}={HIDDEN}" if secret else word)
    return printable(" ".join(words))[:LONGEST_LOG]


def write_log(log: int, text: str) -> None:
    """One line in the server's log."""
    os.write(log, f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n".encode(errors="backslashreplace"))
