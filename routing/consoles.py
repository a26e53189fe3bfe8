"""Whose consoles a host's conserver has (nodehm.cons, nodehm.conserver), and how one is opened."""

import re
import sys
from collections.abc import Collection
from pathlib import Path

from core.dhcpplan import same_host
from core.services.settings import host
from db.engine import Connection
from db.home import Home
from db.lookup import effective
from drivers.services.conserver import Console

COLUMNS = ["cons", "serialport", "conserver"]
#: A node with another name has no console: the name becomes a word of conserver's file and of a shell.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def consoles_of(connection: Connection, names: Collection[str], *, is_mn: bool) -> list[Console]:
    """The nodes with a console on the host of these names; on the MN also those of all others, by their host.

    A node without nodehm.conserver has it on the management node. Raises RequestError for a bad host.
    """
    found = []
    for node, values in effective(connection, {"nodehm": COLUMNS}).items():
        if not (values.get("nodehm.cons") or values.get("nodehm.serialport")) or not NAME.fullmatch(node):
            continue
        keeper = values.get("nodehm.conserver", "").strip()
        if any(same_host(keeper, name) for name in names) or (is_mn and not keeper):
            found.append(Console(node))
        elif is_mn:
            found.append(Console(node, host(keeper, f"nodehm.conserver of {node}")))
    return found


def console_command(home: Home) -> str:
    """What opens the console of the node that is put behind it, for a daemon without any environment."""
    program = Path(sys.prefix) / "bin" / "serval"
    return f"/usr/bin/env SERVAL_HOME={home.path} SERVAL_NAME={home.name} {program} console"
