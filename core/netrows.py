"""Rows of the networks table, with the site's settings, as what servers must know (core/netdoc.py).

Every value is checked here, once, so that none of them can break a daemon's configuration later; the sentence
of what is wrong names table, row and column.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError

from core.errors import DefinitionError
from core.netdoc import SELF, NetDoc

#: A node takes its own service node for this.
OWN_MASTER = "<xcatmaster>"
REMOTE = "!remote!"
DOMAIN = re.compile(
    r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*"
)
INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,14}")
LARGEST_MTU = 65_535

Row = Mapping[str, str]
#: Names to addresses.
Addresses = Mapping[str, str]
#: A value, and `table.column of row` where it stands.
Placed = tuple[str, str]


def is_ipv4(row: Row) -> bool:
    """Whether a row is an IPv4 network; others are left to those who serve them."""
    return ":" not in row.get("net", "")


def net_doc(name: str, row: Row, site: Row, known: Addresses, servers: Sequence[str]) -> NetDoc:
    """One row; `servers` share its dynamic ranges. Raises DefinitionError."""

    def at(column: str) -> str:
        return f"networks.{column} of {name}"

    network = _network(row, at("net"))
    remote = row.get("mgtifname", "")
    domain = row.get("domain") or site.get("domain", "")
    return NetDoc(
        name=name,
        net=str(network),
        remote=_matching(INTERFACE, remote.removeprefix(REMOTE), at("mgtifname")) if REMOTE in remote else "",
        gateway=next(iter(_addresses((row.get("gateway", ""), at("gateway")), known)), ""),
        nameservers=_addresses(_first(row, site, "nameservers", at, OWN_MASTER), known),
        ntpservers=_addresses(_first(row, site, "ntpservers", at), known),
        logservers=_addresses((row.get("logservers", ""), at("logservers")), known),
        domain=_matching(DOMAIN, domain, at("domain") if row.get("domain") else "site.domain"),
        mtu=_mtu(row.get("mtu", ""), at("mtu")),
        ranges=tuple(_ranges(row.get("dynamicrange", ""), network, at("dynamicrange"))),
        servers=tuple(servers) if row.get("dynamicrange") else (),
    )


def names_in(row: Row, site: Row) -> set[str]:
    """What stands for a host in a row and in what it takes from the site: it may have to be resolved."""
    texts = [row.get(column, "") for column in ("gateway", "nameservers", "ntpservers", "logservers")]
    texts += [site.get(key, "") for key in ("nameservers", "ntpservers", "forwarders", "master")]
    return {word for text in texts for word in _words(text) if word != OWN_MASTER}


def addresses(text: str, place: str, known: Addresses) -> tuple[str, ...]:
    """The hosts in a value as IPv4 addresses, in their order. Raises DefinitionError."""
    return _addresses((text, place), known)


def _first(row: Row, site: Row, column: str, at: Callable[[str], str], default: str = "") -> Placed:
    if row.get(column):
        return row[column], at(column)
    return site.get(column) or default, f"site.{column}"


def _addresses(placed: Placed, known: Addresses) -> tuple[str, ...]:
    text, place = placed
    found = []
    for word in _words(text):
        try:
            found.append(SELF if word == OWN_MASTER else str(IPv4Address(known.get(word, word))))
        except AddressValueError:
            raise DefinitionError(f"{place}: {word[:60]!r} is no IPv4 address and does not resolve") from None
    return tuple(dict.fromkeys(found))


def _network(row: Row, place: str) -> IPv4Network:
    text = f"{row.get('net', '')}/{row.get('mask', '').lstrip('/')}"
    try:
        return IPv4Network(text, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError):
        raise DefinitionError(f"{place}: {text[:60]!r} is no network") from None


def _ranges(text: str, network: IPv4Network, place: str) -> Iterator[tuple[str, str]]:
    """`first-last`, several separated by `,` or `;`."""
    for item in re.split(r"[;,\s]+", text):
        if not item:
            continue
        try:
            first, last = (IPv4Address(part) for part in item.split("-"))
        except ValueError:
            raise DefinitionError(
                f"{place}: {item[:60]!r} is no range such as 10.0.0.100-10.0.0.199"
            ) from None
        if first > last or first not in network or last not in network:
            raise DefinitionError(f"{place}: {item[:60]!r} is no range of {network}")
        yield str(first), str(last)


def _mtu(text: str, place: str) -> int:
    if text and not (text.isascii() and text.isdigit() and 0 < int(text) <= LARGEST_MTU):
        raise DefinitionError(f"{place}: {text[:60]!r} is no MTU such as 1500")
    return int(text or 0)


def _matching(pattern: re.Pattern[str], text: str, place: str) -> str:
    if text and not pattern.fullmatch(text):
        raise DefinitionError(f"{place}: {text[:60]!r} cannot be used")
    return text


def _words(text: str) -> list[str]:
    return re.split(r"[,\s]+", text.strip()) if text.strip() else []
