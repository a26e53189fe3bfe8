"""`serval server`: the warm command server of an instance (docs/how-to/command-server.md, docs/adr/0009).

It has every command imported and forks one child for each that is asked, one of them ahead (`cli.spare`). It
runs no thread and holds no connection to the database or Redis, so it may fork at any time, and does not
notice when they restart.
"""

import fcntl
import gc
import importlib
import io
import os
import select
import signal
import socket
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NoReturn

from cli import wire
from cli.arguments import Parser, command
from cli.context import Context
from cli.entry import COMMANDS, run
from cli.relay import serve_peer
from cli.serval import SUBCOMMANDS
from cli.serving import serve, write_log
from cli.spare import Spare, fork_spare
from core.errors import RequestError, ServalError, UnavailableError
from db.home import Home, open_home
from db.schema import open_database
from drivers.certificate import make_certificate

#: More commands at once than this are refused: each is a process.
MOST_COMMANDS = 64
#: So many peers (cli/relay.py) are heard at once, the others wait; of one address so many are.
MOST_PEERS, MOST_OF_ONE = 128, 32
WAITING_CLIENTS = 128
#: When children collect garbage: they make much that they keep, and end soon.
RARELY = (100_000, 20, 100)
#: Commands that change nothing, run once at the start: what they load and compile, the children inherit.
WARMING = ("nodels", "lsdef -t node -o no-such-node", "rpower no-such-node stat", "serval jobs -n 1")


@command
def server(argv: list[str], ctx: Context) -> int:
    """Serve commands until SIGTERM or Ctrl-C."""
    parser = Parser(ctx, "serval server", description="Be the warm command server until SIGTERM or Ctrl-C.")
    parser.parse_args(argv)
    home = open_home(ctx.env)
    serving = Server(home, ctx.env)
    warm(ctx.env)
    return serving.run()


def warm(env: Mapping[str, str]) -> None:
    """Import every command and let the database layer compile its statements; a database may be away."""
    for module, _ in COMMANDS.values():
        importlib.import_module(module)
    for module, _, _ in SUBCOMMANDS.values():
        importlib.import_module(module)
    for line in WARMING:
        name, *words = line.split()
        nowhere = io.StringIO()
        run(name, words, Context(nowhere, nowhere, nowhere, env, Path("/"), "server", terminal=False))
    with suppress(ServalError):
        open_database(env).dispose()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*RARELY)


class Server:
    """Accepts, forks and reaps; everything else is the children's."""

    def __init__(self, home: Home, env: Mapping[str, str]) -> None:
        self._home = home
        self._env = dict(env)
        self._stopping = False
        self._children: dict[int, socket.socket] = {}
        self._peers: dict[int, str] = {}
        self._spare: Spare | None = None
        self._lock = only_one(home)
        self._door = open_door(home)
        self._listener = listen(home)
        os.write(self._lock, str(os.getpid()).encode())  # now there is somebody to be asked
        self._woken, self._wake = socket.socketpair()
        self._log = os.dup(2)

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; commands in hand go on by themselves."""
        self._woken.setblocking(False)
        self._wake.setblocking(False)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._renew_spare()
        self._say(f"command server {os.getpid()} listens for {self._home.path}")
        while not self._stopping:
            doors = [self._door] if self._door and len(self._peers) < MOST_PEERS else []
            ready, _, _ = select.select([self._listener, self._woken, *doors], [], [])
            if self._woken in ready:
                self._woken.recv(4096)
                self._reap()
            if self._listener in ready:
                self._accept()
            if self._door in ready:
                self._accept_peer()
        Path(wire.socket_path(str(self._home.path))).unlink(missing_ok=True)
        self._say(f"command server {os.getpid()} stops; {len(self._children)} commands go on")
        return 0

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError as error:  # it has gone already, or we have too many files open
            self._say(f"accept: {error.strerror}")
            return
        _, uid, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid not in (0, os.getuid()):
            self._refuse(client, "only root and the server's own user are served: policy is not enforced yet")
        elif len(self._children) >= MOST_COMMANDS:
            self._refuse(client, f"the command server runs {MOST_COMMANDS} commands already; try again")
        else:
            self._fork(client, uid)

    def _accept_peer(self) -> None:
        """Take in a connection from another host; whose it is, its own process finds out."""
        if self._door is None:
            return
        try:
            peer, (address, *_) = self._door.accept()
        except OSError as error:
            self._say(f"accept: {error.strerror}")
            return
        with peer:
            if list(self._peers.values()).count(address) >= MOST_OF_ONE:
                self._say(f"{address}: not served: it has {MOST_OF_ONE} connections already")
                return
            try:
                pid = os.fork()
            except OSError as error:
                self._say(f"{address}: not served: {error.strerror}")
                return
            if pid == 0:
                self._be_child(lambda: serve_peer(peer, address, self._home, self._log, self._env))
            self._peers[pid] = address

    def _refuse(self, client: socket.socket, why: str) -> None:
        with suppress(wire.ConversationLost), client:
            client.settimeout(1.0)
            wire.send(client, "refused", why.encode())

    def _fork(self, client: socket.socket, uid: int) -> None:
        try:
            pid = self._take_spare(client, uid) or os.fork()
        except OSError as error:
            self._refuse(client, f"the command server cannot start a process: {error.strerror}")
            return
        if pid == 0:
            self._be_child(lambda: serve(client, uid, self._log, self._env))
        self._children[pid] = client

    def _take_spare(self, client: socket.socket, uid: int) -> int | None:
        spare, self._spare = self._spare, None
        return spare.pid if spare is not None and spare.give(client, uid) else None

    def _renew_spare(self) -> None:
        """Have a spare again. Not while a command has just begun, which needs the processor itself."""
        if self._spare is None:
            serve_it = partial(serve, log=self._log, env=self._env)
            self._spare = fork_spare(self._env, self._be_child, serve_it)

    def _be_child(self, act: Callable[[], int]) -> NoReturn:
        status = 1
        try:
            self._forget()
            status = act()
        finally:
            os._exit(status)

    def _forget(self) -> None:
        """A child is nobody's server: no handler, no listener, no other client, no terminal."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.setsid()
        for other in (self._listener, self._door, self._woken, self._wake, *self._children.values()):
            if other is not None:
                other.close()
        if self._spare is not None:
            self._spare.close()
        os.close(self._lock)

    def _reap(self) -> None:
        """Take in children that ended. A child that could not say how it ended is spoken for."""
        while True:
            try:
                pid, raw = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._peers.pop(pid, None)
            if self._spare is not None and self._spare.pid == pid:
                self._spare.close()
                self._spare = None
            client = self._children.pop(pid, None)
            if client is None:
                continue
            code = os.waitstatus_to_exitcode(raw)
            if code < 0:
                self._say(f"process {pid} was ended by signal {-code}")
            with suppress(wire.ConversationLost), client:
                client.settimeout(1.0)
                wire.send(client, *(("died", b"%d" % -code) if code < 0 else ("status", b"%d" % code)))
            self._renew_spare()

    def _say(self, text: str) -> None:
        write_log(self._log, text)


def server_pid(home: Home) -> Path:
    """Holds the process id of the command server, and is locked by it."""
    return home.run / "server.pid"


def only_one(home: Home) -> int:
    """Hold the lock of this home's command server. Raises RequestError when another one runs."""
    lock = os.open(server_pid(home), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RequestError(f"a command server runs for {home.path} already") from None
    os.ftruncate(lock, 0)
    return lock


def listen(home: Home) -> socket.socket:
    """The socket that clients find. Whoever holds the lock may remove what a dead server left."""
    path = wire.socket_path(str(home.path))
    Path(path).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(wire.reach(path))
    finally:
        os.umask(before)
    listener.listen(WAITING_CLIENTS)
    return listener


def open_door(home: Home) -> socket.socket | None:
    """The TCP socket where service nodes are heard; None when this home has no `listen`."""
    if home.listen is None:
        return None
    host, _, port = home.listen.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        make_certificate(home.keys, home.name)
        return socket.create_server((host.strip("[]"), int(port)), family=family, backlog=WAITING_CLIENTS)
    except OSError as error:
        raise UnavailableError(f'listen = "{home.listen}" in serval.toml: {error.strerror}') from error
