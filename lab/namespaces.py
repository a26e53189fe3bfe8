"""Network namespaces of one run: hosts, and the bridges that join them, in a namespace of their own.

The root namespace is left alone. Every run has a prefix and a record in /run with the process that owns it;
`sweep` ends and removes what runs left behind that were killed. As root, with iproute2; see ip-netns(8).
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from core.errors import UnavailableError

RECORDS = Path("/run/serval-lab")
#: The namespace of the bridges: the switches, and the hardware that hangs on them.
SWITCHES = "net"
COMMAND_S = 20
KILL_S = 10.0


@dataclass(frozen=True, slots=True)
class Namespaces:
    """The namespaces of one run, named RUN-ROLE; `folder` is removed with them."""

    run: str
    folder: Path
    #: The process that is to remove them, and when it started; 0: they are kept until someone sweeps all.
    owner: int
    started: int

    # -- building ----------------------------------------------------------------------------------

    def name(self, role: str) -> str:
        """The namespace of a host."""
        return f"{self.run}-{role}"

    def add(self, role: str) -> None:
        """Make a host with nothing but its loopback."""
        ip("netns", "add", self.name(role))
        ip("-n", self.name(role), "link", "set", "lo", "up")

    def bridge(self, name: str, *addresses: str) -> None:
        """Make a switch; addresses (`10.0.0.1/24`) are for hardware beside the switches."""
        switches = self.name(SWITCHES)
        ip("-n", switches, "link", "add", name, "type", "bridge", "forward_delay", "0")
        for address in addresses:
            ip("-n", switches, "addr", "add", address, "dev", name, "nodad")
        ip("-n", switches, "link", "set", name, "up")

    def plug(self, role: str, bridge: str, address: str) -> None:
        """Give a host an interface on a switch, with this name and an address like `10.0.0.1/24`."""
        switches, port = self.name(SWITCHES), port_of(role, bridge)
        peer = ("type", "veth", "peer", "name", bridge, "netns", self.name(role))
        ip("-n", switches, "link", "add", port, *peer)
        ip("-n", switches, "link", "set", port, "master", bridge, "up")
        ip("-n", self.name(role), "addr", "add", address, "dev", bridge)
        ip("-n", self.name(role), "link", "set", bridge, "up")

    def tap(self, name: str, bridge: str) -> None:
        """Give a virtual machine a port on a switch."""
        switches = self.name(SWITCHES)
        ip("-n", switches, "tuntap", "add", name, "mode", "tap")
        ip("-n", switches, "link", "set", name, "master", bridge, "up")

    def link(self, role: str, bridge: str, *, up: bool) -> None:
        """Draw a host's cable from a switch, or put it back."""
        ip("-n", self.name(SWITCHES), "link", "set", port_of(role, bridge), "up" if up else "down")

    def cut(self, role: str, *bridges: str) -> None:
        """Lose all that goes between a host and these switches; both ends keep their link."""
        self._port_state(role, bridges, "0")

    def mend(self, role: str, *bridges: str) -> None:
        """Let it pass again; where nothing was cut nothing changes."""
        self._port_state(role, bridges, "3")

    def _port_state(self, role: str, bridges: Sequence[str], state: str) -> None:
        """States of a switch's port, by number: disabled 0, forwarding 3."""
        for bridge in bridges:
            port = port_of(role, bridge)
            iproute("bridge", "-n", self.name(SWITCHES), "link", "set", "dev", port, "state", state)

    # -- processes ---------------------------------------------------------------------------------

    def inside(self, role: str, *command: str) -> list[str]:
        """How a program is started on a host; its process id stays that of the one who starts it."""
        return ["ip", "netns", "exec", self.name(role), *command]

    def spawn(
        self, role: str, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None
    ) -> int:
        """Start a program on a host and go on; its process id. It ends with its host, not with us."""
        words = self.inside(role, *command)
        return os.posix_spawnp(
            words[0],
            words,
            os.environ if env is None else env,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )

    def pids(self, role: str) -> list[int]:
        """Every process of a host."""
        return [int(word) for word in ip("netns", "pids", self.name(role)).split()]

    def kill(self, role: str) -> None:
        """End every process of a host at once, as when its power fails.

        Raises UnavailableError when one does not end.
        """
        deadline = time.monotonic() + KILL_S
        while pids := self.pids(role):
            if time.monotonic() > deadline:
                raise UnavailableError(f"processes of {self.name(role)} do not end: {pids}")
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    # -- ending ------------------------------------------------------------------------------------

    def roles(self) -> list[str]:
        """The hosts that there are."""
        found = ip("-j", "netns", "list")
        names = [str(entry["name"]) for entry in json.loads(found or "[]")]
        return [name.removeprefix(f"{self.run}-") for name in names if name.startswith(f"{self.run}-")]

    def keep(self) -> None:
        """Outlive this process: only `sweep(kept=True)` removes these namespaces."""
        write_record(Namespaces(self.run, self.folder, 0, 0))

    def remove(self) -> None:
        """End all processes, remove namespaces, folder and record; a second call does nothing."""
        for role in self.roles():
            self.kill(role)
        for role in self.roles():
            ip("netns", "delete", self.name(role))
        shutil.rmtree(self.folder, ignore_errors=True)
        (RECORDS / self.run).unlink(missing_ok=True)


@contextmanager
def namespaces(folder: Path, prefix: str = "lab") -> Iterator[Namespaces]:
    """Namespaces of a new run, removed at the end whatever happens, unless they are kept by then.

    `folder` is the run's own and goes with them. Raises UnavailableError without the rights to make them.
    """
    made = Namespaces(prefix + secrets.token_hex(3), folder, os.getpid(), started_at(os.getpid()))
    write_record(made)
    try:
        made.add(SWITCHES)
        yield made
    finally:
        if any(record.run == made.run and record.owner for record in records()):
            made.remove()


def sweep(*, kept: bool = False) -> list[str]:
    """Remove the runs whose process is gone, and with `kept` those that were kept; returns their names."""
    gone = [
        found
        for found in records()
        if (kept if not found.owner else started_at(found.owner) != found.started)
    ]
    for found in gone:
        found.remove()
    return [found.run for found in gone]


def records() -> list[Namespaces]:
    """Every run that is on record."""
    files = sorted(RECORDS.iterdir()) if RECORDS.is_dir() else []
    told = [json.loads(file.read_text(encoding="utf-8")) for file in files if not file.name.startswith(".")]
    return [Namespaces(**one | {"folder": Path(one["folder"])}) for one in told]


def write_record(one: Namespaces) -> None:
    """Put a run on record before it makes anything."""
    try:
        RECORDS.mkdir(mode=0o700, exist_ok=True)
        new = RECORDS / f".{one.run}"
        new.write_text(json.dumps(asdict(one) | {"folder": str(one.folder)}), encoding="utf-8")
        new.rename(RECORDS / one.run)
    except PermissionError as error:
        raise UnavailableError("network namespaces are made by root only") from error


def port_of(role: str, bridge: str) -> str:
    """The switch's side of a host's cable; 15 letters at most, or `ip` refuses it."""
    return f"{role}-{bridge}"


def started_at(pid: int) -> int:
    """When a process started, in the kernel's ticks; 0 when it has ended (proc(5), fields 3 and 22)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[0] in "ZX" else int(fields[19])


def ip(*words: str) -> str:
    """What ip(8) says. Raises UnavailableError when it refuses."""
    return iproute("ip", *words)


def iproute(*words: str) -> str:
    """What a program of iproute2 says. Raises UnavailableError when it refuses."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=COMMAND_S, check=False)
    except FileNotFoundError as error:
        raise UnavailableError(f"The program '{words[0]}' is missing: install iproute2") from error
    if done.returncode != 0:
        raise UnavailableError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout
