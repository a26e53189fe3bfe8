"""The cluster in a box, spread over hosts: each node has links of its own to Redis, database and BMCs."""

import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from postgres_server import PostgresServer, binaries
from rig import Rig

from db.engine import open_engine
from drivers.redisclient import ping
from drivers.services.redisbinary import find_binary
from lab.box import CHECKOUT, Box
from lab.namespaces import Namespaces, ip, namespaces

#: Each a switch; mn1 is .1, sn1 .11 and sn2 .12 on all of them.
REDIS, DATABASE, BMC = "redis", "db", "bmc"
SUBNETS = {REDIS: "10.1.0", DATABASE: "10.2.0", BMC: "10.3.0"}
HOSTS = {"mn1": 1, "sn1": 11, "sn2": 12, "bmcs": 100}
#: The host of the BMCs has all of their addresses.
BMC_NETWORK, BMC_ADDRESSES = (10, 4), "10.4.0.0/16"
REDIS_PORT = 6379


def address(host: str, switch: str) -> str:
    """The address of a host on a switch."""
    return f"{SUBNETS[switch]}.{HOSTS[host]}"


@dataclass(slots=True, kw_only=True)
class NetBox(Box):
    """A box whose management node, service nodes and BMCs are hosts of a network."""

    lan: Namespaces
    redis_password: str
    network: tuple[int, int] = BMC_NETWORK

    @property
    def broker(self) -> str:
        """Redis over its Unix socket, which is seen from outside of the network too."""
        return f"unix://:{self.redis_password}@{self.folder / 'redis.sock'}"

    @property
    def environment(self) -> dict[str, str]:
        """What commands on the management node see."""
        place = f"{address('mn1', REDIS)}:{REDIS_PORT}"
        return Box.environment.__get__(self) | {"SERVAL_BROKER": f"redis://:{self.redis_password}@{place}/0"}

    def inside(self, host: str) -> list[str]:
        """Run it in the host's network."""
        return self.lan.inside(host)

    def up(self) -> None:
        """Start what does not run; each service node on its own host, with a home of its own."""
        self.must("serval", "up")
        for name in self.sns:
            if not self.alive(name):
                self._start_service_node(name)

    def stop(self) -> None:
        """End everything at once: nobody asks what the workers would still say."""
        for name in ("mn1", *self.sns):
            self.signal(name, signal.SIGKILL)
        Box.stop(self)

    def _start_service_node(self, name: str) -> None:
        own = {"SERVAL_HOME": str(self.folder / name), "SERVAL_NAME": name}
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*self.inside(name), sys.executable, "-m", "cli.main", "serval", "worker", name, "--reload"],
                cwd=CHECKOUT,
                env=self.environment | own,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        # Where `serval down` and the signals of the box look for it.
        (self.home / "run" / f"worker-{name}.pid").write_text(str(process.pid))


def lay_cables(lan: Namespaces) -> None:
    """Switches, hosts and links; one host has all BMCs' addresses, and the others know the way."""
    for switch in SUBNETS:
        lan.bridge(switch)
    for host in HOSTS:
        lan.add(host)
        for switch in (BMC,) if host == "bmcs" else SUBNETS:
            lan.plug(host, switch, f"{address(host, switch)}/24")
        if host != "bmcs":
            ip("-n", lan.name(host), "route", "add", BMC_ADDRESSES, "via", address("bmcs", BMC))
    ip("-n", lan.name("bmcs"), "route", "add", "local", BMC_ADDRESSES, "dev", "lo")


def start_redis(box: NetBox) -> subprocess.Popen[bytes]:
    """A Redis on the management node that ends with the tests."""
    settings = {
        "bind": address("mn1", REDIS), "port": REDIS_PORT, "requirepass": box.redis_password,
        "unixsocket": box.folder / "redis.sock", "save": '""', "dir": box.folder, "logfile": "redis.log",
    }  # fmt: skip
    file = box.folder / "redis.conf"
    file.touch(0o600)
    file.write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
    words = ["setpriv", "--pdeathsig=KILL", "--", str(find_binary()), str(file)]
    process = subprocess.Popen([*box.inside("mn1"), *words], stdin=subprocess.DEVNULL)
    while not (box.folder / "redis.sock").exists():
        assert process.poll() is None, (box.folder / "redis.log").read_text()
        time.sleep(0.02)
    ping(box.broker, 5)
    return process


@contextmanager
def net_rig(folder: Path, bmcs: int) -> Iterator[Rig]:
    """A started cluster on hosts of its own with PostgreSQL and Redis on the management node."""
    programs = binaries()
    assert programs is not None, "PostgreSQL is not installed: make packages"
    with ExitStack() as after:
        lan = after.enter_context(namespaces(folder / "lan", "links"))
        lay_cables(lan)
        server = PostgresServer(programs, inside=lan.inside("mn1"), address=address("mn1", DATABASE))
        after.callback(server.stop)
        server.start()
        server.execute("CREATE DATABASE box")
        box = NetBox(folder, bmcs, server.url("box"), lan=lan, redis_password=secrets.token_hex(8))
        redis = start_redis(box)
        after.callback(redis.wait)
        after.callback(redis.kill)
        after.callback(box.stop)
        box.start()
        engine = open_engine(server.local_url("box"))
        after.callback(engine.dispose)
        yield Rig(box, engine, server)
