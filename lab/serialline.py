"""A person at a machine's serial console: logs in and gives commands, as QEMU's socket lets through."""

import base64
import re
import secrets
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import UnavailableError

LOOK_S = 0.5
#: A terminal takes lines of less than 4096 letters.
PIECE = 1024


@dataclass(slots=True)
class SerialLine:
    """The line of a machine; `patience` in seconds is for each answer."""

    path: Path
    patience: float
    _socket: socket.socket = field(init=False, repr=False)
    _heard: str = field(default="", repr=False)

    def __enter__(self) -> "SerialLine":
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(self.path))
        self._socket.settimeout(LOOK_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def log_in(self, user: str, password: str) -> None:
        """Wait for the question, which may have been asked before, and answer."""
        deadline = time.monotonic() + self.patience
        while True:
            self._say("")
            try:
                self._await(r"login: ?$", 10)
                break
            except UnavailableError:
                if time.monotonic() > deadline:
                    raise
        self._say(user)
        self._await(r"Password: ?$")
        self._say(password)
        self._await(r"[#$] ?$")
        self._say("stty -echo; PS1=; TERM=dumb; dmesg -n 1; kill -s RTMIN+21 1")  # systemd is silent here
        self.run("true")

    def run(self, command: str) -> tuple[int, str]:
        """The exit status of a command, and what it wrote."""
        mark = secrets.token_hex(8)
        self._heard = ""
        self._say(f"{command}; said=$?; echo; echo {mark}:$said:")
        found = self._await(rf"{mark}:(\d+):")
        said = self._heard[: found.start()].replace("\r", "").strip()
        self._heard = ""
        return int(found[1]), said

    def must(self, command: str) -> str:
        """What a command wrote that has to succeed. Raises UnavailableError."""
        status, said = self.run(command)
        if status:
            raise UnavailableError(f"{command[:80]}: exit status {status}: {said[-1000:]}")
        return said

    def write(self, path: str, text: str) -> None:
        """Write a file that nobody else may read."""
        coded = base64.b64encode(text.encode()).decode()
        self.must(f"umask 077; mkdir -p $(dirname {path}); : > {path}.coded")
        for start in range(0, len(coded), PIECE):
            self.must(f"printf %s {coded[start : start + PIECE]} >> {path}.coded")
        self.must(f"base64 -d < {path}.coded > {path}; rm {path}.coded")

    def _say(self, line: str) -> None:
        self._socket.sendall(line.encode() + b"\n")

    def _await(self, pattern: str, patience: float = 0) -> re.Match[str]:
        deadline = time.monotonic() + (patience or self.patience)
        while not (found := re.search(pattern, self._heard)):
            if time.monotonic() > deadline:
                raise UnavailableError(f"the serial line does not say {pattern}: …{self._heard[-1500:]}")
            try:
                more = self._socket.recv(65536)
            except TimeoutError:
                continue
            if not more:
                raise UnavailableError("the machine was switched off")
            self._heard += more.decode("utf-8", "replace")
        return found
