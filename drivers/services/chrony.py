"""chrony keeps a service node's clock and gives it to its nodes (chrony.conf(5)).

Where the host does not let the clock be set, as in a container, chronyd runs with -x: it serves the host's
time and leaves the clock alone.
"""

from pathlib import Path

from core.services.settings import Clock
from drivers.services.daemon import Daemon, Folder, Port
from drivers.services.probes import ntp_query

CAP_SYS_TIME = 25
STATUS = Path("/proc/self/status")
#: Nodes without any other clock agree with their service node; chrony's manual calls this orphan mode.
CONFIG = """\
# Written by Serval from site.ntpservers, site.extntpservers and the networks table.
{servers}driftfile {state}/drift
makestep 1.0 3
rtcsync
local stratum 10 orphan
allow 127.0.0.1
{clients}bindcmdaddress /
cmdport 0
pidfile {folder}/chronyd.pid
"""


def daemon(settings: Clock, folder: Path, state: Path, service: str) -> Daemon:
    """chronyd with its configuration in `folder` and what it learns in `state`."""
    config = folder / "chrony.conf"
    words = ("-f", str(config))
    only_serve = () if may_set_clock() else ("-x",)
    return Daemon(
        name="chronyd",
        package="chrony",
        command=("chronyd", "-d", *only_serve, *words),
        files={config: render(settings, folder, state)},
        folders=(Folder(folder), Folder(state, "_chrony", 0o750)),
        ports=(Port("udp", 123),),
        test=("chronyd", "-p", *words),
        checks={service: ntp_query},
    )


def render(settings: Clock, folder: Path, state: Path) -> str:
    """chrony.conf."""
    servers = "".join(f"server {name} iburst\n" for name in settings.servers)
    clients = "".join(f"allow {net}\n" for net in settings.clients) or "allow\n"
    return CONFIG.format(servers=servers, clients=clients, folder=folder, state=state)


def may_set_clock() -> bool:
    """Whether this process may set the clock (capabilities(7))."""
    for line in STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> CAP_SYS_TIME & 1)
    return False
