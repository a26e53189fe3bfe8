"""Keeping daemons running by systemd: units `serval-NAME.service` (systemd.service(5), systemctl(1))."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import UnavailableError
from drivers.files import make_folder, write_whole
from drivers.services.records import Record, Records

#: There while systemd is the host's init (sd_booted(3)).
BOOTED = Path("/run/systemd/system")
UNITS = Path("/etc/systemd/system")
TIMEOUT_S = 60

UNIT = """\
# Written by Serval (serval services); it is removed when the servicenode table says so.
[Unit]
Description=Serval: {name} of this service node
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
StandardOutput=append:{log}
StandardError=inherit
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True, slots=True)
class Systemd:
    """The host's init keeps the daemons; they come back with the host before Serval does."""

    records: Records
    logs: Path
    units: Path = UNITS

    def log(self, name: str) -> Path:
        """Where a daemon's output goes."""
        return self.logs / f"{name}.log"

    def running(self, name: str) -> int:
        """The process id of a daemon that Serval started and that lives; 0 when there is none."""
        if self.records.read(name) is None:
            return 0
        return int(systemctl("show", "--property=MainPID", "--value", unit(name)) or 0)

    def start(self, name: str, command: Sequence[str], digest: str) -> int:
        """Start it, or start it again with another command; its process id. Raises UnavailableError."""
        make_folder(self.logs)  # a unit whose log cannot be opened does not start
        self.records.write(name, Record(tuple(command), digest))
        write_whole(self.units / unit(name), unit_text(name, command, self.log(name)))
        systemctl("daemon-reload")
        systemctl("enable", unit(name))
        systemctl("restart", unit(name))
        return self.running(name)

    def tell(self, name: str, digest: str = "") -> None:
        """Send SIGHUP to a daemon that runs; with `digest` its configuration has changed to that."""
        record = self.records.read(name)
        if record:
            systemctl("reload", unit(name))
            if digest:
                self.records.write(name, replace(record, digest=digest))

    def stop(self, name: str) -> None:
        """End it and forget it; nothing happens when Serval did not start it. Raises UnavailableError."""
        if self.records.read(name) is None:
            return
        systemctl("disable", "--now", unit(name))
        (self.units / unit(name)).unlink(missing_ok=True)
        systemctl("daemon-reload")
        self.records.forget(name)

    def revive(self) -> list[str]:
        """Nothing to do: systemd starts again what died."""
        return []


def unit(name: str) -> str:
    """The unit of a daemon."""
    return f"serval-{name}.service"


def unit_text(name: str, command: Sequence[str], log: Path) -> str:
    """The unit file of a daemon."""
    return UNIT.format(name=name, command=" ".join(map(quoted, command)), log=str(log).replace("%", "%%"))


def quoted(word: str) -> str:
    """A word of ExecStart: quoted, with nothing left for systemd to expand."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def systemctl(*words: str) -> str:
    """What systemctl says. Raises UnavailableError with its complaint."""
    try:
        done = subprocess.run(
            ["systemctl", *words], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UnavailableError(f"systemctl {' '.join(words)}: {error}") from error
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"status {done.returncode}"
        raise UnavailableError(f"systemctl {' '.join(words)}: {said}")
    return done.stdout.strip()
