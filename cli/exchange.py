"""A service node's side of a command that the management node runs (the other one: cli/relay.py).

What it prints is written to our streams; our signals, our standard input (when the command reads it) and the
files that it names go there.
"""

import os
import select
import signal
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from cli import link, wire
from cli.client import FORWARDED, MOST_TEXT, die_by, kind_of
from cli.context import Context
from cli.link import CHUNK, Link, of_output
from core.errors import RequestError

EFBIG = 27
#: How long a stop may wait for what is unsent.
STOP_S = 2.0


class Exchange:
    """One command, on one connection or, when that is lost, on the next."""

    def __init__(self, name: str, argv: list[str], ctx: Context) -> None:
        self._name, self._argv, self._ctx = name, argv, ctx
        self._shown = set(ctx.shown)
        self._wanted = False
        #: Whether the other side may have begun with it: from the moment that it was asked.
        self.begun = ctx.again
        #: The signal that ends us when the other side is lost.
        self.ending = 0
        self._signals: list[int] = []
        self._woken = -1
        self._before: dict[int, Any] = {}

    @property
    def kind(self) -> str:
        """As `kind_of` has it."""
        return kind_of(self._name, self._argv)

    def _note(self, number: int, _frame: object) -> None:
        self._signals.append(number)

    def hold(self, at: Link) -> int:
        """Ask, and carry on to the end; the exit status. Raises ConversationLost."""
        try:
            with self._noting_signals():
                return self._carry(at)
        finally:
            at.close()

    @contextmanager
    def _noting_signals(self) -> Iterator[None]:
        """Signals are noted, and wake the loop."""
        self._woken, wake = os.pipe()
        os.set_blocking(wake, False)
        self._before = {number: signal.signal(number, self._note) for number in FORWARDED}
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in self._before.items():
                signal.signal(number, handler)
            os.close(self._woken)
            os.close(wake)

    def _carry(self, at: Link) -> int:
        self._wanted = False
        at.put("ask", *(wire.pack(fields) for fields in self._request()))
        self.begun = True
        while True:
            readable: list[Any] = [at, self._woken, *([self._ctx.stdin] if self._wanted else [])]
            ready, _, _ = select.select(readable, [at] if at.unsent else [], [])
            if self._woken in ready:
                os.read(self._woken, CHUNK)
                self._pass_signals(at)
            if self._ctx.stdin in ready:
                self._wanted = False
                at.put("typed", read_some(self._ctx.stdin))
            if at in ready:
                for word, rest in at.take():
                    status = self._told(at, word, rest)
                    if status is not None:
                        return status
            at.flush()

    def _request(self) -> list[list[str]]:
        ctx = self._ctx
        streams = [ctx.stdin, ctx.out, ctx.err]
        settings = [
            f"{one.encoding} {one.errors} {int(getattr(one, 'line_buffering', False))} "
            f"{int(getattr(one, 'write_through', False))}"
            for one in streams
        ]
        about = [str(link.PROTOCOL), ctx.request, ctx.who, str(ctx.cwd), self._name]
        env = [f"{name}={value}" for name, value in ctx.env.items() if of_output(name)]
        terminals = [str(int(one.isatty())) for one in streams] + [str(number) for number in size_of(ctx.out)]
        again = ["again"] if self.begun else []
        return [about, self._argv, env, settings, again, sorted(self._shown), terminals]

    def _told(self, at: Link, word: str, rest: bytes) -> int | None:
        """Do what the other side says; the exit status when that was its last word."""
        match word:
            case "out":
                write_all(self._ctx.out, rest)
            case "err":
                write_all(self._ctx.err, rest)
            case "begun":
                pass
            case "input":
                self._wanted = True
            case "shown":
                nodes = os.fsdecode(rest).split("\0")
                self._shown.update(nodes)
                self._ctx.note_shown(nodes)
            case "read":
                at.put(*self._file(rest))
            case "status":
                return int(rest)
            case "died":
                if int(rest) == self.ending:
                    die_by(self.ending)
                self._ctx.complain(f"{self._name}: ended by signal {int(rest)} on the management node")
                return 128 + int(rest)
            case _:
                raise RequestError(f"the management node: {os.fsdecode(rest)}")
        return None

    def _file(self, path: bytes) -> tuple[str, bytes]:
        """The answer to a question for a file."""
        try:
            data = self._ctx.read_file(self._ctx.cwd / os.fsdecode(path))
        except OSError as error:
            return "failed", str(error.errno or 0).encode()
        return ("text", data) if len(data) <= MOST_TEXT else ("failed", b"%d" % EFBIG)

    def _pass_signals(self, at: Link) -> None:
        while self._signals:
            number = self._signals.pop(0)
            if number in (signal.SIGINT, signal.SIGTERM):
                self.ending = number
            if number == signal.SIGWINCH:
                at.put("size", struct.pack("!2H", *size_of(self._ctx.out)))
            at.put("signal", b"%d" % number)
            if number == signal.SIGTSTP:
                at.finish(STOP_S)
                self._stop()
                at.put("signal", b"%d" % signal.SIGCONT)

    def _stop(self) -> None:
        """Be stopped until the shell, or the client of the command server that we are in, says go on."""
        before = self._before[signal.SIGTSTP]
        if callable(before):
            before(signal.SIGTSTP, None)
            return
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._note)


def size_of(stream: TextIO) -> tuple[int, int]:
    """Rows and columns of a terminal; zeros when it is none."""
    try:
        size = os.get_terminal_size(stream.fileno())
    except OSError:
        return 0, 0
    return size.lines, size.columns


def read_some(stream: TextIO) -> bytes:
    """What there is to read; nothing at the end, and where nobody may read."""
    try:
        return os.read(stream.fileno(), CHUNK)
    except OSError:
        return b""


def write_all(stream: TextIO, data: bytes) -> None:
    """Write bytes to the descriptor of a stream. Raises BrokenPipeError when nobody reads it any more."""
    stream.flush()
    while data:
        data = data[os.write(stream.fileno(), data) :]
