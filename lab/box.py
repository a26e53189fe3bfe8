"""A cluster in a box on one machine: simulated BMCs, the management node and service nodes as real processes.

It drives Serval through its commands alone, as an administrator does; the demo and the end-to-end tests
stand on it. Everything lives in one folder, listens on loopback, and is ended by process id.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import UnavailableError
from lab.client import SimControl

CHECKOUT = Path(__file__).resolve().parent.parent
USER = "ADMIN"
START_S = 20.0


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Standard output, a line each."""
        return self.out.splitlines()


@dataclass(slots=True)
class Box:
    """One cluster in `folder`. `database` is a SQLAlchemy URL; without it SQLite in the home."""

    folder: Path
    bmcs: int
    database: str | None = None
    password: str = field(default="secret", repr=False)
    sns: tuple[str, ...] = ("sn1", "sn2")
    #: The first two numbers of the BMCs' addresses; node n4 has the fourth one.
    network: tuple[int, int] = (127, 1)
    _simulator: subprocess.Popen[str] | None = None
    _control: SimControl | None = None
    _port: int = 0

    @property
    def home(self) -> Path:
        """SERVAL_HOME of this cluster."""
        return self.folder / "home"

    @property
    def environment(self) -> dict[str, str]:
        """What its commands see."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("SERVAL_")}
        own["SERVAL_HOME"] = str(self.home)
        own["SERVAL_ROOT"] = str(self.home / "hosts" / "mn1")
        own["SERVAL_STATUS_PORT"] = "0"
        if self.database:
            own["SERVAL_DATABASE"] = self.database
        return own

    @property
    def control(self) -> SimControl:
        """The simulator's faults and counters."""
        if self._control is None:
            raise UnavailableError("the simulator of the box was not started")
        return self._control

    @property
    def broker(self) -> str:
        """The URL of its Redis."""
        return (self.home / "run" / "broker").read_text().strip()

    def address(self, number: int) -> str:
        """The BMC of the node with this number."""
        first, second = self.network
        return f"{first}.{second + number // 65536}.{number // 256 % 256}.{number % 256}"

    def inside(self, host: str) -> list[str]:
        """The words before a command that runs on this host of the box; none, for all are this one."""
        return []

    # -- commands ----------------------------------------------------------------------------------

    def argv(self, command: Iterable[str]) -> list[str]:
        """How a command of Serval is started from this checkout."""
        return [*self.inside("mn1"), sys.executable, "-m", "cli.main", *command]

    def run(self, *command: str, timeout: float = 120) -> Finished:
        """Run a command to its end."""
        done = subprocess.run(
            self.argv(command),
            cwd=CHECKOUT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def must(self, *command: str, timeout: float = 120) -> Finished:
        """Run a command that has to succeed. Raises UnavailableError with what it said."""
        done = self.run(*command, timeout=timeout)
        if done.status != 0:
            raise UnavailableError(f"{' '.join(command)}: exit status {done.status}: {done.err or done.out}")
        return done

    def begin(self, *command: str) -> subprocess.Popen[str]:
        """Start a command and go on; the caller reads and waits."""
        return subprocess.Popen(
            self.argv(command),
            cwd=CHECKOUT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    # -- life --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Simulator, definitions, Redis, management node, service nodes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.start_simulator()
        self.define()
        self.up()

    def start_simulator(self) -> None:
        """Start the BMCs and connect to their control socket."""
        secret = self.folder / "bmc-password"
        secret.write_text(self.password + "\n")
        secret.chmod(0o600)
        socket_path = self.folder / "sim.sock"
        command = [*self.inside("bmcs"), sys.executable, "-m", "lab.sim", "--count", str(self.bmcs)]
        command += ["--base", self.address(1), "--user", USER]
        command += ["--password-file", str(secret), "--control", str(socket_path)]
        with (self.folder / "sim.log").open("w") as log:
            self._simulator = subprocess.Popen(
                command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, text=True
            )
        deadline = time.monotonic() + START_S
        while not socket_path.exists():
            if self._simulator.poll() is not None or time.monotonic() > deadline:
                raise UnavailableError(
                    f"the simulator did not start: {(self.folder / 'sim.log').read_text()}"
                )
            time.sleep(0.05)
        self._control = SimControl.connect(str(socket_path))
        self._port = int(self._control.hello()["port"])

    def define(self) -> None:
        """Service nodes, and the BMCs as nodes: half in compute1 (sn1,sn2), half in compute2 (sn2,sn1)."""
        half = self.bmcs // 2
        width = len(str(self.bmcs))
        a, b = self.network
        address = f"|n(\\d+)|{a}.({b}+($1)/65536).((($1)/256)%256).(($1)%256):{self._port}|"
        self.must("mkdef", "-t", "node", "-o", ",".join(self.sns), "groups=service,all", "servicenode=mn1")
        self.must("chdef", "-t", "group", "-o", "service", "setuptftp=1")
        for group, first, last in (("compute1", 1, half), ("compute2", half + 1, self.bmcs)):
            names = f"n[{first:0{width}}-{last:0{width}}]"
            self.must("mkdef", "-t", "node", "-o", names, f"groups={group},compute,all", "mgt=ipmi")
        login = (f"bmcusername={USER}", f"bmcpassword={self.password}")
        self.must("chdef", "-t", "group", "-o", "compute", "mgt=ipmi", f"bmc={address}", *login)
        for group, pool in (("compute1", self.sns), ("compute2", self.sns[::-1])):
            self.must("chdef", "-t", "group", "-o", group, f"servicenode={','.join(pool)}")

    def up(self) -> None:
        """Start what of Redis and the workers does not run; when they do not come up, nothing is left."""
        try:
            self.must("serval", "up", *(word for name in self.sns for word in ("--sn", name)))
        except UnavailableError:
            self.stop()
            raise

    def stop(self) -> None:
        """End everything; what was killed or stopped before does not matter."""
        for name in ("mn1", *self.sns):
            self.signal(name, signal.SIGCONT)
        self.run("serval", "down")
        if self._control is not None:
            self._control.close()
        if self._simulator is not None:
            self._simulator.terminate()
            self._simulator.wait(timeout=10)

    # -- harm --------------------------------------------------------------------------------------

    def group(self, name: str) -> int:
        """The process group of a worker: its keeper, Celery workers and their children; 0 when it is gone."""
        try:
            return int((self.home / "run" / f"worker-{name}.pid").read_text())
        except (FileNotFoundError, ValueError):
            return 0

    def alive(self, name: str) -> bool:
        """Whether the keeper of a worker runs."""
        try:
            state = Path(f"/proc/{self.group(name)}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return False
        return state not in "ZX"

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to every process of a worker at once, as when its host dies or stops."""
        group = self.group(name)
        if group:
            try:
                os.killpg(group, number)
            except ProcessLookupError:
                return

    @staticmethod
    def kill(pids: Iterable[int]) -> None:
        """Kill processes of the box at once; those that are gone already do not matter."""
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def redis_pid(self) -> int:
        """The embedded Redis."""
        return int((self.home / "run" / "redis.pid").read_text())

    def processes(self, name: str) -> Mapping[int, list[str]]:
        """Process id → command line of every process of a worker."""
        found = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    words = (folder / "cmdline").read_bytes().split(b"\0")
                    if os.getpgid(int(folder.name)) == self.group(name):
                        found[int(folder.name)] = [word.decode() for word in words]
                except (FileNotFoundError, ProcessLookupError):
                    continue
        return found
