"""The command server's spare: a child that is forked and connected before anybody asks for a command.

Fork and connection are a sixth of what `rpower n1 stat` takes. A spare does one command, as any other child
does. It waits for its client on a socket of its own, and ends with its server.
"""

import os
import socket
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from core.errors import ServalError
from db.engine import reading
from db.schema import open_database

UID = struct.Struct("i")
#: The name of the process while it waits and after that, as `ps -o comm` shows them; 15 letters at most.
SPARE, COMMAND = "serval-spare", "serval-command"


@dataclass(frozen=True, slots=True)
class Spare:
    """The server's side of it."""

    pid: int
    _link: socket.socket

    def give(self, client: socket.socket, uid: int) -> bool:
        """Hand it a client, whose socket stays open here; False when it has ended."""
        with self._link:
            try:
                socket.send_fds(self._link, [UID.pack(uid)], [client.fileno()])
            except OSError:
                return False
        return True

    def close(self) -> None:
        """Let go of it, so that it ends."""
        self._link.close()


def fork_spare(
    env: Mapping[str, str],
    be_child: Callable[[Callable[[], int]], NoReturn],
    act: Callable[[socket.socket, int], int],
) -> Spare | None:
    """A spare that will do `act` with its client and the client's uid; None when no process can be had."""
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            return None
        if pid == 0:
            ours.close()
            be_child(lambda: _wait(theirs, env, act))
    return Spare(pid, ours)


def _wait(link: socket.socket, env: Mapping[str, str], act: Callable[[socket.socket, int], int]) -> int:
    _be_called(SPARE)
    with suppress(ServalError):
        _connect(env)
    raw, files, _, _ = socket.recv_fds(link, UID.size, 1)
    link.close()
    if not files:
        return 0
    _be_called(COMMAND)
    return act(socket.socket(fileno=files[0]), *UID.unpack(raw))


def _be_called(name: str) -> None:
    Path("/proc/self/comm").write_text(name)


def _connect(env: Mapping[str, str]) -> None:
    """A connection that the command finds open; SQLite's costs nothing, and its file may be replaced."""
    engine = open_database(env)
    if engine.dialect.name == "postgresql":
        with reading(engine) as connection:
            connection.exec_driver_sql("SELECT 1")
    else:
        engine.dispose()
