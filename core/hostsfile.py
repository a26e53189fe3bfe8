"""The text of /etc/hosts (hosts(5)): Serval's own lines stand between two marks, everything else is kept.

What a node's lines are follows xCAT's makehosts: `ip short full aliases`, from the tables hosts and nics.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

BEGIN = "# BEGIN serval: makehosts writes these lines"
END = "# END serval"
LOOPBACK = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
#: Behind each line, so that it is found again when the address or the name has changed.
NODE_MARK = " # node "
#: What else stands in the tables is no host name.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]*")


@dataclass(frozen=True, slots=True)
class Line:
    """One line: an address and its names, the first of which is canonical."""

    node: str
    ip: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.ip} {' '.join(self.names)}{NODE_MARK}{self.node}"


def merge(text: str, lines: Iterable[Line], nodes: Collection[str]) -> str:
    """The file with the lines of `nodes` replaced by `lines` (none: taken away)."""
    before, own, after = split(text)
    gone = set(nodes)
    kept = [line for line in own if line.rpartition(NODE_MARK)[2] not in gone]
    block = sorted([*kept, *map(str, lines)], key=_order)
    marked = [BEGIN, *block, END] if block else []
    return "".join(f"{line}\n" for line in [*before, *marked, *after])


def fresh(lines: Iterable[Line]) -> str:
    """A file that holds nothing but the loopback addresses and these lines."""
    return merge("".join(f"{line}\n" for line in LOOPBACK), lines, ())


def split(text: str) -> tuple[list[str], list[str], list[str]]:
    """What is before Serval's lines, these without their marks, and what is after."""
    lines = text.splitlines()
    if BEGIN not in lines:
        return lines, [], []
    first = lines.index(BEGIN)
    last = lines.index(END, first) if END in lines[first:] else first
    return lines[:first], lines[first + 1 : last], lines[last + 1 :]


def foreign(text: str) -> dict[str, str]:
    """Names that the file's other lines have, with their addresses."""
    before, _, after = split(text)
    found: dict[str, str] = {}
    for line in [*before, *after]:
        words = line.partition("#")[0].split()
        for name in words[1:]:
            found.setdefault(name, words[0])
    return found


def _order(line: str) -> tuple[int, int, str]:
    try:
        address = ip_address(line.split()[0])
    except (ValueError, IndexError):
        return 9, 0, line
    return address.version, int(address), line


def node_lines(node: str, values: Mapping[str, str], domain: str, full_first: bool) -> list[Line]:
    """The lines of one node; `values` are its columns of hosts and nics by `table.column`.

    Values that are no addresses yield nothing.
    """
    found: list[tuple[str, str, Sequence[str]]] = []
    if ip := values.get("hosts.ip"):
        found.append((ip, node, _words(values.get("hosts.hostnames", ""))))
    for item in _words(values.get("hosts.otherinterfaces", "")):
        name, _, ip = item.partition(":")
        found.append((ip, node + name if name.startswith("-") else name, ()))
    found += _nic_names(node, values)
    return [
        Line(node, ip, names)
        for ip, name, aliases in found
        if _is_address(ip) and (names := _names(name, aliases, domain, full_first))
    ]


def _nic_names(node: str, values: Mapping[str, str]) -> list[tuple[str, str, Sequence[str]]]:
    """Addresses of the nics table with their names and aliases; a BMC's is not a host of its own."""
    kinds = by_nic(values.get("nics.nictypes", ""))
    suffixes = by_nic(values.get("nics.nichostnamesuffixes", ""))
    prefixes = by_nic(values.get("nics.nichostnameprefixes", ""))
    aliases = by_nic(values.get("nics.nicaliases", ""))
    found: list[tuple[str, str, Sequence[str]]] = []
    for nic, addresses in by_nic(values.get("nics.nicips", "")).items():
        if "bmc" in [kind.lower() for kind in kinds.get(nic, [])]:
            continue
        for place, ip in enumerate(addresses):
            prefix, suffix = _at(prefixes.get(nic), place), _at(suffixes.get(nic), place)
            if not prefix and not suffix:
                suffix = f"-{nic}" if place == 0 else f"-{nic}-{place}"
            found.append((ip, f"{prefix}{node}{suffix}", _words(_at(aliases.get(nic), place))))
    return found


def by_nic(text: str) -> dict[str, list[str]]:
    """`eth0!a|b,ib0!c` as lists by interface."""
    found: dict[str, list[str]] = {}
    for item in text.split(","):
        nic, mark, listed = item.partition("!")
        if mark and nic.strip():
            found[nic.strip()] = listed.strip().split("|")
    return found


def _at(listed: Sequence[str] | None, place: int) -> str:
    return listed[place].strip() if listed and place < len(listed) else ""


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _names(name: str, aliases: Sequence[str], domain: str, full_first: bool) -> tuple[str, ...]:
    short = name.removesuffix(f".{domain}") if domain else name
    full = [f"{short}.{domain}"] if domain and "." not in short else []
    first = [*full, short] if full_first else [short, *full]
    return tuple(dict.fromkeys(word for word in [*first, *aliases] if NAME.fullmatch(word)))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
