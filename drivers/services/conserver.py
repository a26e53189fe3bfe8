"""conserver keeps the consoles of nodes open and logs them (conserver.cf(5)).

A console is `serval console NODE`, which finds the BMC's password itself: none is in this file or in a list
of processes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from drivers.services.daemon import Daemon, Folder, Port, Reload
from drivers.services.probes import tcp_greeting

PORT = 3109
GREETING = b"ok"
CONFIG = """\
# Written by Serval from nodehm.cons and nodehm.conserver (makeconservercf).
config * {{
    daemonmode off;
    defaultaccess rejected;
}}
default * {{
    type exec;
    exec "{command} &";
    execsubst &=cs;
    master localhost;
    logfile {logs}/&;
    logfilemax 16m;
    timestamp 1lab;
    rw *;
{demand}}}
access * {{
    trusted {trusted};
}}
"""
#: Without it every console is opened at once and kept open.
ON_DEMAND = "    options ondemand;\n"


@dataclass(frozen=True, slots=True)
class Console:
    """One node's console, and the host whose conserver has it; empty for this host."""

    node: str
    host: str = ""


@dataclass(frozen=True, slots=True)
class Consoles:
    """What conserver does on one host."""

    consoles: Sequence[Console]
    #: What opens the console of the node that is put behind it.
    command: str
    logs: Path
    #: Hosts whose users need no password.
    trusted: tuple[str, ...]
    on_demand: bool


def daemon(settings: Consoles, folder: Path, service: str) -> Daemon:
    """conserver with its configuration in `folder`."""
    config = folder / "conserver.cf"
    return Daemon(
        name="conserver",
        package="conserver-server",
        command=("conserver", "-p", str(PORT), "-C", str(config)),
        files={config: render(settings)},
        folders=(Folder(settings.logs, mode=0o700),),
        ports=(Port("tcp", PORT),),
        test=("conserver", "-S", "-C", str(config)),
        reload=Reload.SIGNAL,
        checks={service: lambda: tcp_greeting("conserver", PORT, GREETING)},
    )


def render(settings: Consoles) -> str:
    """conserver.cf. Names and paths are plain words (core.services.settings)."""
    head = CONFIG.format(
        command=settings.command,
        logs=settings.logs,
        trusted=", ".join(settings.trusted),
        demand=ON_DEMAND if settings.on_demand else "",
    )
    lines = (
        f"console {one.node} {{ {f'master {one.host}; ' if one.host else ''}}}\n" for one in settings.consoles
    )
    return head + "".join(lines)
