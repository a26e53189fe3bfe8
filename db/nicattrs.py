"""The attributes of one interface: `nicips.eth0=10.0.0.1` is a part of nicips (xCAT's lsdef(1)).

In the nics table an attribute holds all interfaces: `eth0!10.0.0.1|10.1.0.1,ib0!10.2.0.1`.
"""

import re
from collections.abc import Iterable, Mapping

from db.tables import TABLES

#: Attributes that have parts.
WHOLE = tuple(column.name for column in TABLES["nics"].c if column.name.startswith("nic"))
INTERFACE = re.compile(r"[A-Za-z0-9_:-][A-Za-z0-9_.:-]*")


def whole(name: str) -> str:
    """The attribute that a name is a part of: nicips of nicips.eth0; any other name itself."""
    base, dot, interface = name.partition(".")
    return base if dot and base in WHOLE and INTERFACE.fullmatch(interface) else name


def parts(value: str) -> dict[str, str]:
    """The values of the interfaces; none when it is a regex value or not of that form."""
    found: dict[str, str] = {}
    for item in value.split(",") if value[:1] not in ("", "|", "/") else ():
        interface, mark, own = item.partition("!")
        if not (mark and own and own == own.strip() and INTERFACE.fullmatch(interface)) or interface in found:
            return {}
        found[interface] = own
    return found


def expanded(values: Mapping[str, str]) -> dict[str, str]:
    """The attributes as lsdef shows them, one for each interface."""
    found: dict[str, str] = {}
    for name, value in values.items():
        listed = parts(value) if name in WHOLE else {}
        found.update({f"{name}.{interface}": own for interface, own in listed.items()} or {name: value})
    return found


def chosen(asked: Iterable[str], values: Mapping[str, str]) -> dict[str, str]:
    """The asked ones of expanded attributes, empty where they are not set."""
    found: dict[str, str] = {}
    for name in asked:
        listed = {one: value for one, value in values.items() if name in WHOLE and one.startswith(f"{name}.")}
        found.update(listed or {name: values.get(name, "")})
    return found


def collapsed(given: Mapping[str, str], current: Mapping[str, str]) -> dict[str, str]:
    """What is given, with parts put into the attributes that they are parts of; an empty one is taken out."""
    found = {name: value for name, value in given.items() if whole(name) == name}
    changed: dict[str, dict[str, str]] = {}
    for name, value in given.items():
        base = whole(name)
        if base != name:
            listed = changed.setdefault(base, parts(found.get(base, current.get(base, ""))))
            listed[name.partition(".")[2]] = value
    for base, listed in changed.items():
        found[base] = ",".join(f"{interface}!{own}" for interface, own in listed.items() if own)
    return found
