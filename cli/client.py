"""The console scripts: ask the warm command server to run a command, or run it here when there is none.

Nothing is imported but what Python has loaded anyway and two C modules (`_socket`, `_signal`: `socket` and
`signal` without the enums they build): this file decides how long `rpower n1 stat` takes before anything
happens. The server gets our three standard streams, so it writes to the terminal itself; what stays here is
the terminal's signals, files that the command wants to read, and the exit status.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import os
import sys
import time
from _socket import socket as Socket  # noqa: N812

from cli import wire
from cli.wire import ConversationLost
from core.release import RELEASE

#: typing costs more than the rest of this module; type checkers take this name for true.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

#: Subcommands of `serval` that are processes, or start and stop them: they run where they were typed.
LOCAL = frozenset(
    {"up", "down", "status", "worker", "server", "sim", "flower", "db", "console", "import-xcat"}
)
#: Commands that write files or ask an editor: they run where they were typed too, with the caller's rights.
OWN_RIGHTS = frozenset({"tabedit", "tabrestore", "dumpxCATdb", "restorexCATdb", "makehosts", "nodepurge"})
#: What is asked again with its request id when the server is lost: one request is one job (PROTOCOL 7).
JOBS = frozenset(
    [
        *("rpower", "rsetboot", "nodeset", "makedhcp", "makedns", "makentp", "makeconservercf", "snmove"),
        *("genimage", "packimage", "liteimg", "copycds", "rmimage", "imgexport", "imgimport", "imgcapture"),
        *("serval retry", "serval services"),
    ]
)
#: What of the environment a command may want to know.
ENVIRONMENT = frozenset(
    ["HOME", "USER", "LOGNAME", "SUDO_USER", "XDG_DATA_HOME", "LANG", "LANGUAGE", "TZ", "TERM", "COLUMNS"]
)
PREFIXES = ("SERVAL_", "LC_", "LINES", "COLORTERM", "NO_COLOR", "FORCE_COLOR", "TTY_")
FORWARDED = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGTSTP, _signal.SIGWINCH)
#: How long a server that was lost may take to come back, seconds.
COME_BACK_S = 5.0
LOOK_S = 0.1
#: A file that a command reads may have so many bytes.
MOST_TEXT = wire.MOST - 1024
INTERRUPTED = 130


class Asked:
    """One command as it was typed, and what of its output has been seen; asked again it is the same one."""

    def __init__(self, name: str, words: list[str]) -> None:
        self.name = name
        self.words = words
        self.request = os.urandom(16).hex()
        #: Whether a server had begun with it.
        self.begun = False
        #: Nodes whose results were printed, for the server that is asked next.
        self.shown: list[str] = []

    @property
    def kind(self) -> str:
        """As `kind_of` has it."""
        return kind_of(self.name, self.words)

    def frame(self, home: str) -> bytes:
        """The request as it travels."""
        env = [
            f"{name}={value}"
            for name, value in os.environ.items()
            if name in ENVIRONMENT or name.startswith(PREFIXES)
        ]
        again = ["again"] if self.begun else []
        about = [str(wire.PROTOCOL), RELEASE, self.request, home, working_folder(), self.name]
        lists = [about, self.words, env, stream_settings(), again, self.shown]
        return wire.frame("run", *(wire.pack(fields) for fields in lists))


class Conversation:
    """One connection to the server, until the command has ended."""

    def __init__(self, sock: Socket, asked: Asked) -> None:
        self._sock = sock
        self._asked = asked
        self._open = False
        self._early: list[int] = []
        #: A signal that ends us when the server does not say how the command took it.
        self.ending = 0

    def hold(self, home: str) -> int | None:
        """The exit status; None when this command has to run here. Raises ConversationLost."""
        for number in FORWARDED:
            _signal.signal(number, self._forward)
        wire.send_with_streams(self._sock, self._asked.frame(home), [0, 1, 2])
        self._open = True
        for number in self._early:
            self._forward(number, None)
        while True:
            word, rest = wire.receive(self._sock)
            match word:
                case "status":
                    return int(rest)
                case "died":
                    return self._died(int(rest))
                case "begun":
                    self._asked.begun = True
                case "shown":
                    self._asked.shown += os.fsdecode(rest).split("\0")
                case "read":
                    self._read(rest)
                case "other":
                    complain(f"{os.fsdecode(rest)}; this command runs in its own process")
                    return None
                case _:
                    complain(f"Error: {os.fsdecode(rest)}")
                    return 1

    def _forward(self, number: int, _frame: object) -> None:
        if not self._open:
            self._early.append(number)
            return
        if number in (_signal.SIGTERM, _signal.SIGINT):
            self.ending = number
        try:
            wire.send(self._sock, "signal", str(number).encode())
            if number == _signal.SIGTSTP:
                self._stop()
                wire.send(self._sock, "signal", str(_signal.SIGCONT).encode())
        except ConversationLost:
            return  # the one who reads will notice

    def _stop(self) -> None:
        """Be stopped as the shell expects it, until it says go on."""
        _signal.signal(_signal.SIGTSTP, _signal.SIG_DFL)
        os.kill(os.getpid(), _signal.SIGTSTP)
        _signal.signal(_signal.SIGTSTP, self._forward)

    def _read(self, path: bytes) -> None:
        """Read a file for the command, as the user who typed it."""
        try:
            with open(path, "rb") as file:
                data = file.read(MOST_TEXT + 1)
        except OSError as error:
            wire.send(self._sock, "failed", str(error.errno or 0).encode())
            return
        if len(data) > MOST_TEXT:
            wire.send(self._sock, "failed", b"27")  # EFBIG
        else:
            wire.send(self._sock, "text", data)

    def _died(self, number: int) -> int:
        if number == self.ending:
            die_by(number)
        complain(f"{self._asked.name}: ended by signal {number} in the command server; see server.log")
        return 128 + number


def main(name: str) -> NoReturn:
    """Run a command for the shell that called it."""
    mend_streams()
    asked, home = Asked(name, sys.argv[1:]), home_path()
    try:
        status = None if is_local(asked) else ask(asked, home)
        if status is not None:
            os._exit(status)
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)
    run_here(asked, home)


def kind_of(name: str, words: list[str]) -> str:
    """`rpower`, or `serval retry`; `nodeset next` is no job, and twice it would be two steps of the chain."""
    if name == "serval" and words:
        return f"serval {words[0]}"
    return "nodeset next" if name == "nodeset" and "next" in words else name


def is_local(asked: Asked) -> bool:
    """Whether a command runs in this process even where there is a server."""
    if asked.name == "serval":
        return not asked.words or asked.words[0] in LOCAL
    writes = asked.name == "tabdump" and any(word.startswith("-f") for word in asked.words)
    return writes or asked.name in OWN_RIGHTS


def ask(asked: Asked, home: str) -> int | None:
    """The exit status that a server answers; None when the command has to run here."""
    deadline = None
    while True:
        sock = connect(home)
        if sock is not None:
            conversation = Conversation(sock, asked)
            try:
                return conversation.hold(home)
            except ConversationLost:
                sock.close()
            finally:
                for number in FORWARDED:
                    _signal.signal(number, defaults(number))
            if conversation.ending:
                die_by(conversation.ending)
            if asked.begun and asked.kind not in JOBS:
                return lost(asked)
            deadline = deadline or time.monotonic() + COME_BACK_S
        if deadline is None or time.monotonic() > deadline:
            return None
        time.sleep(LOOK_S)


def connect(home: str) -> Socket | None:
    """A connection to the server of this home; None when nobody listens there."""
    path = wire.socket_path(home)
    sock = wire.new_socket()
    try:
        sock.connect(wire.reach(path))
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        sock.close()
        return None
    except OSError as error:
        complain(f"Error: the command server at {path} cannot be asked: {error.strerror}.{not_yours(home)}")
        os._exit(1)
    return sock


def run_here(asked: Asked, home: str) -> NoReturn:
    """Run the command in this process, for the owner of the home only."""
    if not is_owner(home):
        complain(f"Error: no command server listens for SERVAL_HOME {home}.{not_yours(home)}")
        sys.exit(1)
    from cli import entry  # nobody who is served needs it

    entry.main(asked.name, asked.request, again=asked.begun, shown=asked.shown)


def is_owner(home: str) -> bool:
    """Whether this process may work on the home by itself; one that does not exist yet will be its own."""
    try:
        return os.stat(home).st_uid == os.geteuid()
    except FileNotFoundError:
        return True
    except OSError:
        return False


def not_yours(home: str) -> str:
    """Why somebody else's home is closed."""
    if is_owner(home):
        return ""
    return " It belongs to another user, and `policy` is not enforced yet: only its owner may run this here"


def home_path() -> str:
    """SERVAL_HOME as db.home finds it, without its imports."""
    env = os.environ
    if named := env.get("SERVAL_HOME"):
        return os.path.abspath(named)
    if os.getuid() == 0:
        return "/var/lib/serval"
    base = env.get("XDG_DATA_HOME") or f"{env.get('HOME', '/')}/.local/share"
    return os.path.abspath(f"{base}/serval")


def mend_streams() -> None:
    """Put /dev/null where the caller closed a standard stream."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)  # becomes the lowest number that is free: this one
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115


def working_folder() -> str:
    """Where the command was typed; `/` when that folder is gone."""
    try:
        return os.getcwd()
    except OSError:
        return "/"


def stream_settings() -> list[str]:
    """Encoding, errors and line buffering of our three streams, so that the server writes as we would."""
    settings = []
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        through = int(getattr(stream, "write_through", False))
        settings.append(f"{stream.encoding} {stream.errors} {int(stream.line_buffering)} {through}")
    return settings


def lost(asked: Asked) -> int:
    """What is said about a command that nobody may repeat."""
    complain(
        f"Error: the command server was lost in the middle of '{asked.kind}', so nobody knows whether it was "
        "carried out. Look, and give the command again if it was not"
    )
    return 1


def complain(text: str) -> None:
    """One line on standard error."""
    os.write(2, f"{text}\n".encode(errors="surrogateescape"))


def defaults(number: int) -> object:
    """What Python does with a signal when nobody says otherwise."""
    return _signal.default_int_handler if number == _signal.SIGINT else _signal.SIG_DFL


def die_by(number: int) -> NoReturn:
    """End as this signal ends a process, so that the shell sees it."""
    _signal.signal(number, _signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)
