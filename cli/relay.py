"""The management node's end of a command that a service node asks for (docs/adr/0011): one process a peer.

It makes the handshake, forks the process that does the command (cli/serving.py) with pipes, or a pseudo
terminal where the caller has one, in place of streams, and carries frames and bytes between the two.
"""

import fcntl
import os
import re
import select
import signal
import socket
import struct
import termios
import tty
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cli import link, wire
from cli.farstream import Remote
from cli.link import CHUNK, ENOUGH, Link, of_output
from cli.places import is_here, refuse_mn_alone
from cli.serving import Refused, serve, write_log
from cli.wire import ConversationLost
from core.errors import ServalError
from core.release import RELEASE
from db import members
from db.engine import open_engine, reading
from db.home import Home
from drivers import tls
from drivers.certificate import certificate_file

#: Handshake and request take no longer than this, or the process ends.
INTRODUCTION_S = 10
FINISH_S = 10.0
#: A user's name as it is recorded.
USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\$-]{0,63}")
#: What a service node may say while a command runs; `size` besides is ours.
FORWARDED = frozenset({"signal", "text", "failed", "typed"})


@dataclass(frozen=True, slots=True)
class Request:
    """What a service node asks for, as it is given to the process that does it."""

    frame: bytes
    remote: Remote
    #: Whether standard output, and standard error, are a terminal there.
    terminals: list[bool]
    size: tuple[int, int]


@dataclass(slots=True)
class Doing:
    """The process that does the command, and our ends of its streams: descriptor → frame word."""

    pid: int
    sock: socket.socket
    streams: dict[int, str] = field(default_factory=dict)


def serve_peer(sock: socket.socket, address: str, home: Home, log: int, env: Mapping[str, str]) -> int:
    """Do what one peer asks for; the exit status of this process. `log` is a file descriptor."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(INTRODUCTION_S)
    try:
        peer, member = tls.accept(sock, certificate_file(home.keys, home.name), known_certificates(home))
    except ServalError as error:
        write_log(log, f"{address}: not served: {error.message}")
        return 1
    at = Link(peer)
    try:
        at.put("welcome")
        asked = read_request(first_frame(at), member, home, env)
        signal.alarm(0)
        doing = begin(asked, at, log, env)
        return Relay(at, doing).run()
    except ServalError as error:
        write_log(log, f"{member} ({address}): refused: {error.message}")
        at.put("refused", os.fsencode(error.message))
        with suppress(ConversationLost):
            at.finish(FINISH_S)
        return 1
    except ConversationLost:
        return 1


def known_certificates(home: Home) -> dict[str, str]:
    """The certificate of every member by name; no connection is kept."""
    engine = open_engine(home.database)
    try:
        with reading(engine) as connection:
            return members.certificates(connection)
    finally:
        engine.dispose()


def first_frame(at: Link) -> bytes:
    """The request; the alarm ends the wait."""
    while True:
        at.flush()
        if frames := at.take(1):
            word, rest = frames[0]
            if word != "ask":
                raise Refused("the request cannot be read")
            return rest
        select.select([at], [], [])


def read_request(rest: bytes, member: str, home: Home, env: Mapping[str, str]) -> Request:
    """What is asked, with this host's settings in place of the caller's. Raises Refused or RequestError."""
    try:
        about, argv, their_env, streams, again, shown, terminals = wire.unpack(rest)
        protocol, request, user, cwd, name = about
        typing, out, err, rows, columns = (int(word) for word in terminals)
    except (ConversationLost, ValueError):
        raise Refused("the request cannot be read") from None
    if protocol != str(link.PROTOCOL):
        raise Refused(f"the command server is of release {RELEASE} and speaks another protocol: upgrade")
    if not USER.fullmatch(user):
        raise Refused(f"{user[:64]!r} is no name of a user")
    refuse_mn_alone(name, argv)
    if is_here(name, argv):
        raise Refused(f"{name} runs on the service node itself")
    own = [f"{key}={value}" for key, value in env.items() if key.startswith("SERVAL_")]
    theirs = [word for word in their_env if of_output(word.partition("=")[0])]
    lists = [
        [str(wire.PROTOCOL), RELEASE, request, str(home.path), cwd, name],
        argv, [*own, *theirs], streams, again, shown,
    ]  # fmt: skip
    frame = wire.frame("run", *(wire.pack(fields) for fields in lists))
    size = (rows & 0xFFFF, columns & 0xFFFF)
    return Request(frame, Remote(f"{user}@{member}", bool(typing)), [bool(out), bool(err)], size)


def begin(asked: Request, at: Link, log: int, env: Mapping[str, str]) -> Doing:
    """Fork the process that does the command; it has nothing of the connection."""
    ours, theirs = socket.socketpair()
    pairs = [stream(terminal, asked.size) for terminal in asked.terminals]
    pid = os.fork()
    if pid == 0:
        ours.close()
        at.close()
        for mine, _ in pairs:
            os.close(mine)
        status = 1
        try:
            status = serve(theirs, os.getuid(), log, env, asked.remote)
        finally:
            os._exit(status)
    theirs.close()
    with Path(os.devnull).open("rb") as nothing:
        wire.send_with_streams(ours, asked.frame, [nothing.fileno(), *(far for _, far in pairs)])
    for _, far in pairs:
        os.close(far)
    return Doing(pid, ours, {pair[0]: word for pair, word in zip(pairs, ("out", "err"), strict=True)})


def stream(terminal: bool, size: tuple[int, int]) -> tuple[int, int]:
    """What is read here, and what the command writes to: a pipe, or a terminal that changes no byte."""
    if not terminal:
        return os.pipe()
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    resize(theirs, size)
    return ours, theirs


def resize(terminal: int, size: tuple[int, int]) -> None:
    """Tell a pseudo terminal its size; a pipe has none."""
    with suppress(OSError):
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("4H", *size, 0, 0))


class Relay:
    """Carries frames and bytes until the command has ended or the service node is lost."""

    def __init__(self, at: Link, doing: Doing) -> None:
        self._link = at
        self._doing = doing

    def run(self) -> int:
        """The exit status of this process. When the service node is lost the command notices by our end."""
        self._hear()  # what came with the request
        while True:
            room = self._link.unsent < ENOUGH
            readable = [self._link, self._doing.sock, *(self._doing.streams if room else ())]
            ready, _, _ = select.select(readable, [self._link] if self._link.unsent else [], [])
            for stream in [one for one in ready if isinstance(one, int)]:
                self._pass_on(stream)
            if self._link in ready:
                self._hear()
            if self._doing.sock in ready and self._told():
                self._link.finish(FINISH_S)
                return 0
            self._link.flush()

    def _pass_on(self, stream: int) -> None:
        try:
            data = os.read(stream, CHUNK)
        except OSError:  # nobody has the terminal open any more
            data = b""
        if data:
            self._link.put(self._doing.streams[stream], data)
        else:
            os.close(stream)
            del self._doing.streams[stream]

    def _hear(self) -> None:
        for word, rest in self._link.take():
            if word == "size":
                size = struct.unpack("!2H", rest[:4].rjust(4, b"\0"))
                for stream in self._doing.streams:
                    resize(stream, size)
            elif word in FORWARDED:
                wire.send(self._doing.sock, word, rest)
            else:
                raise ConversationLost(f"nobody says {word[:20]!r} here")

    def _told(self) -> bool:
        """Pass on a frame of the command; whether that was its last."""
        try:
            word, rest = wire.receive(self._doing.sock)
        except ConversationLost:
            word, rest = self._last_words()
        if word not in ("status", "died", "refused", "other"):
            self._link.put(word, rest)
            return False
        while self._doing.streams and (ready := select.select(list(self._doing.streams), [], [], 0)[0]):
            for stream in ready:
                self._pass_on(stream)
        self._link.put("refused" if word == "other" else word, rest)
        return True

    def _last_words(self) -> tuple[str, bytes]:
        """What is to be said of a process that said nothing when it ended."""
        code = os.waitstatus_to_exitcode(os.waitpid(self._doing.pid, 0)[1])
        return ("died", b"%d" % -code) if code < 0 else ("status", b"%d" % code)
