"""A management node with simulated BMCs, and a service node with a home and a database role of its own."""

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from served import Served, until

from lab.box import Box

BMCS = 6


@dataclass(slots=True)
class SnRig:
    """`box` is the management node, `sn` the service node sn1; `serval down` and `up` work on both."""

    box: Box
    sn: Served
    port: int

    @property
    def mn(self) -> Served:
        """The management node's commands."""
        return Served(self.box.home, {"SERVAL_DATABASE": self.box.database or ""})

    def start(self) -> None:
        """BMCs, definitions, both nodes; the service node gets a role of its own."""
        self.box.folder.mkdir(parents=True)
        self.box.start_simulator()
        self.box.home.mkdir(mode=0o700)
        settings = f'listen = "127.0.0.1:{self.port}"\nroot = "{self.box.folder / "root"}"\n'
        (self.box.home / "serval.toml").write_text(settings)
        self.box.define()
        self.box.must("serval", "up")
        url = self.box.folder / "sn1.url"
        self.box.must("serval", "db", "grant", "sn1", "--password-file", str(url))
        self.settle(self.sn.home, database=url.read_text().strip())
        done = self.sn.run("serval up")
        assert done.returncode == 0, done
        until(lambda: self.sn.run("rpower n1 stat").returncode == 0, "the service node does not work")

    def settle(self, home: Path, **settings: str) -> None:
        """Write the serval.toml of a service node."""
        home.mkdir(mode=0o700, exist_ok=True)
        broker = (self.box.home / "run" / "broker").read_text().strip()
        root = str(home.with_name("root-of-sn1"))
        told = {
            "name": "sn1",
            "mn": "mn1",
            "server": f"127.0.0.1:{self.port}",
            "broker": broker,
            "root": root,
        }
        text = "".join(f'{key} = "{value}"\n' for key, value in (told | settings).items())
        (home / "serval.toml").write_text(text)

    def stop(self) -> None:
        """End everything, the workers at once: nobody waits for their work."""
        self.box.signal("mn1", signal.SIGKILL)
        file = self.sn.home / "run" / "worker-sn1.pid"
        if file.exists():
            with suppress(ProcessLookupError):
                os.killpg(int(file.read_text()), signal.SIGKILL)
        self.sn.run("serval down")
        self.box.stop()

    def server_pid(self) -> int:
        """The management node's command server."""
        return int((self.box.home / "run" / "server.pid").read_text())

    def server_log(self) -> str:
        """What it has written."""
        return (self.box.home / "log" / "server.log").read_text()

    def stop_server(self) -> None:
        """End the management node's command server alone."""
        pid = self.server_pid()
        os.kill(pid, signal.SIGTERM)
        until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in state(pid), "the server does not stop")

    def start_server(self) -> None:
        """Start it again."""
        self.box.must("serval", "up")


def state(pid: int) -> str:
    """The kernel's letter for what a process does."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "X"
