"""`serval up|down|status|worker`: the embedded cluster on one machine, and single workers.

`up` starts what is missing (Redis, the command server, workers) and returns when it works; `down` ends what
`up` started, by process id. The processes are sessions of their own; their logs are in SERVAL_HOME/log.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from cli.arguments import Parser, command
from cli.context import Context
from cli.power import broker
from cli.server import server_pid
from core.errors import RequestError, UnavailableError
from db.home import Home, open_home
from db.schema import open_database
from drivers import leases
from drivers.services import redis
from tasks import keeper

READY_S = 60.0
STOP_S = 20.0
#: A newcomer is trusted with work after four changes that the management node has seen (routing/liveness.py),
#: which may look a moment later than we do.
BEATS = 6


@command
def up(argv: list[str], ctx: Context) -> int:
    """Start the embedded Redis and this machine's workers."""
    parser = Parser(ctx, "serval up", description="Start Serval on this machine: Redis, its workers.")
    parser.add_argument("--sn", action="append", default=[], metavar="NAME", help="also start a service node")
    options = parser.parse_args(argv)
    home = open_home(ctx.env)
    is_mn = home.name == home.mn
    open_database(ctx.env)
    if home.broker is None and not is_mn:
        raise RequestError("a service node needs the `broker` of the management node; set it in serval.toml")
    if home.broker is None:
        found = redis.start(home.path / "redis", home.logs / "redis.log")
        write_private(home.broker_file, found.url)
        write_private(home.run / "redis.pid", str(found.pid))
        ctx.say(f"redis: port {found.port}")
    names = [(home.name, "mn" if is_mn else "sn"), *((name, "sn") for name in options.sn)]
    # The management node last: it must not look for service nodes that still start, and give up their work.
    for name in options.sn:
        start_worker(ctx, home, name, "sn")
    start_server(ctx, home)
    try:
        wait_for_leases(home, options.sn, beats=1)
    finally:
        start_worker(ctx, home, *names[0])
    wait_for_leases(home, [name for name, _ in names], BEATS)
    for name, role in names:
        ctx.say(f"{name}: {role} is up")
    return 0


@command
def down(argv: list[str], ctx: Context) -> int:
    """Stop what `serval up` started."""
    parser = Parser(ctx, "serval down", description="Stop the workers and the embedded Redis.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these workers")
    options = parser.parse_args(argv)
    home = open_home(ctx.env)
    files = sorted(home.run.glob("worker-*.pid"))
    chosen = {name_of(file): file for file in files}
    for name in options.names:
        if name not in chosen:
            raise RequestError(f"no worker {name} was started here by: serval up")
    # The management node first: it must not see the service nodes go and give up what they had to do.
    for name in options.names or sorted(chosen, key=lambda found: found != home.name):
        end(chosen[name], signal.SIGTERM)
        ctx.say(f"{name}: stopped")
    if not options.names:
        if is_worker(read_pid(server_pid(home)), b"server"):
            end(server_pid(home), signal.SIGTERM, b"server")
            ctx.say("command server: stopped")
        pid_file = home.run / "redis.pid"
        if pid_file.exists():
            redis.stop(int(pid_file.read_text()))
            pid_file.unlink()
            ctx.say("redis: stopped")
    return 0


@command
def status(argv: list[str], ctx: Context) -> int:
    """Whether everything that was started is alive; 0 when it is."""
    Parser(ctx, "serval status", description="Show what of Serval runs on this machine.").parse_args(argv)
    home = open_home(ctx.env)
    well = True
    ctx.say(f"home: {home.path}")
    try:
        leases.read(leases.connect(broker(home)))
        ctx.say("redis: answers")
    except UnavailableError as error:
        well = False
        ctx.say(f"redis: {error.message}")
    open_database(ctx.env)
    ctx.say("database: answers")
    served = is_worker(read_pid(server_pid(home)), b"server")
    ctx.say(f"command server: {'runs' if served else 'does not run; commands take half a second longer'}")
    for file in sorted(home.run.glob("worker-*.pid")):
        alive = is_worker(read_pid(file))
        well = well and alive
        ctx.say(f"{name_of(file)}: {'runs' if alive else 'is gone; its log is in ' + str(home.logs)}")
    return 0 if well else 1


@command
def worker(argv: list[str], ctx: Context) -> int:
    """Be the management node or a service node, in the foreground, until told to stop."""
    parser = Parser(
        ctx, "serval worker", description="Be a management node or service node until SIGTERM or Ctrl-C."
    )
    parser.add_argument("name", nargs="?", help="which MN or SN this is (default: the `name` setting)")
    parser.add_argument("--mn", action="store_true", help="be the management node: supervise jobs too")
    parser.add_argument("-r", "--reload", action="store_true", help="skip the set-up of services")
    options = parser.parse_args(argv)
    own = open_home(ctx.env)
    name = options.name or own.name
    if not options.mn and name == own.mn:
        ctx.complain(
            f"Warning: {name} is a service node and nothing says whose: set `mn` in serval.toml to the name "
            "of the management node, or nodes without a pool are taken for its own here"
        )
    home = open_home({**ctx.env, "SERVAL_NAME": name, "SERVAL_MN": name if options.mn else own.mn})
    return keeper.work(home, is_mn=options.mn, reload=options.reload)


def start_worker(ctx: Context, home: Home, name: str, role: str) -> None:
    """Start one worker in a session of its own, unless it runs already."""
    pid_file = home.run / f"worker-{name}.pid"
    if is_worker(read_pid(pid_file)):
        return
    # Service nodes beside their management node are a rehearsal: this host has one port 69 for all of them.
    words = ["worker", name, "--mn" if role == "mn" else "--reload"]
    own = {"SERVAL_NAME": name, "SERVAL_MN": home.mn}
    if role != "mn":  # its neighbours cannot share one port for node status, nor one /tftpboot
        own |= {"SERVAL_STATUS_PORT": "0", "SERVAL_ROOT": str(home.path / "hosts" / name)}
    pid_file.write_text(str(start(words, {**ctx.env, **own}, home, name).pid))


def start_server(ctx: Context, home: Home) -> None:
    """Start the command server unless one runs; it writes its process id itself."""
    if is_worker(read_pid(server_pid(home)), b"server"):
        return
    process = start(["server"], ctx.env, home, "server")
    deadline = time.monotonic() + READY_S
    while read_pid(server_pid(home)) != process.pid:
        if process.poll() is not None:
            raise UnavailableError(f"the command server ended at once: {last_line(home, 'server')}")
        if time.monotonic() > deadline:
            raise UnavailableError(f"the command server does not come up; see {home.logs}")
        time.sleep(0.05)


def start(words: list[str], env: Mapping[str, str], home: Home, log_name: str) -> subprocess.Popen[bytes]:
    """Start `serval` with these words in a session of its own, with a log."""
    with (home.logs / f"{log_name}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "serval", *words],
            env={**env, "SERVAL_HOME": str(home.path)},
            cwd=Path(__file__).resolve().parent.parent,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    # For a moment after exec /proc shows no words yet: is_worker would say that it is gone.
    while process.poll() is None and not Path(f"/proc/{process.pid}/cmdline").read_bytes():
        time.sleep(0.001)
    return process


def wait_for_leases(home: Home, names: list[str], beats: int) -> None:
    """Return when every worker has beaten so often; raises UnavailableError when one ends or stays away."""
    client = leases.connect(broker(home))
    deadline = time.monotonic() + READY_S
    first: dict[str, int] = {}
    while True:
        found = leases.read_all(client)
        missing = []
        for name in names:
            lease = found.get(name)
            # By boot: the lease of a worker that was killed is still there.
            if lease is None or lease.beat < first.setdefault(lease.boot, lease.beat) + beats:
                missing.append(name)
            if not is_worker(read_pid(home.run / f"worker-{name}.pid")):
                raise UnavailableError(f"the worker of {name} ended at once: {last_line(home, name)}")
        if not missing:
            return
        if time.monotonic() > deadline:
            raise UnavailableError(f"no sign of life from {', '.join(missing)}; see {home.logs}")
        time.sleep(0.2)


def last_line(home: Home, name: str) -> str:
    """The last line of a worker's log."""
    log = home.logs / f"{name}.log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return f"{lines[-1] if lines else 'nothing was said'} ({log})"


def read_pid(file: Path) -> int:
    """The process id in a file, 0 when there is none."""
    try:
        return int(file.read_text())
    except (FileNotFoundError, ValueError):
        return 0


def is_worker(pid: int, word: bytes = b"worker") -> bool:
    """Whether this process id is a Serval worker (or server, by `word`): ids are used again."""
    if pid <= 0:
        return False
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return word in words and state != "Z"


def name_of(file: Path) -> str:
    """`sn1` of worker-sn1.pid."""
    return file.stem.removeprefix("worker-")


def end(pid_file: Path, number: signal.Signals, word: bytes = b"worker") -> None:
    """Send a signal to the process of a pid file and wait until it is gone."""
    pid = read_pid(pid_file)
    deadline = time.monotonic() + STOP_S
    while is_worker(pid, word):
        os.kill(pid, number)
        time.sleep(0.2)
        if time.monotonic() > deadline:
            number = signal.SIGKILL
    pid_file.unlink(missing_ok=True)


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
