"""The DHCP records of nodes as dnsmasq reads them, and their Keeper.

What dnsmasq does, tried with 2.90 and read in its source (dnsmasq(8) dhcp-hostsfile, dhcp-hostsdir):

* `dhcp.d` is watched with inotify: the records of a new file count at once. Records that changed or went stay
  until SIGHUP, and for an address that is known already the new record is refused.
* `dhcp.hosts` is read at the start and at SIGHUP, without a watch.
* 10,000 records in one file are read in 0.13 s; in 10,000 files in 0.36 s, and at each SIGHUP again in 0.8 s.
* Up to 2.90 SIGHUP kills it once a host with a tag has asked (`dnsmasq.told_by_signal`); it starts in 0.2 s.
* A lease outlives the record: an address that is leased to the old MAC is not given to the new one.

So new records go into one new file in `dhcp.d`; when anything changed or went, all go into `dhcp.hosts`,
`dhcp.d` is emptied, leases that nobody has a right to any more are released, and dnsmasq is told once.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path

from core.dhcpdoc import DhcpDoc, DhcpHost, from_text
from core.dhcpplan import same_host
from core.errors import RequestError
from core.wanted import Change
from drivers.files import write_whole
from drivers.services.dnsmasq import HOSTS, LATER, MORE_HOSTS, OPTIONS, PROXIED, prepare
from drivers.services.dnsmasqvalue import value

STATE = "dhcp.json"
#: So that the file is never empty, unless it is not ours.
HEAD = "# Records of nodes, written by Serval.\n"
#: So many files in `dhcp.d` are put together.
MOST_FILES = 50
#: What DHCP may call a host (RFC 1123); a node with another name gets none.
HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9][A-Za-z0-9_-]*)*")


@dataclass(slots=True)
class State:
    """What is in effect, by node: lines, (address, MAC) pairs that may be leased, fixed servers, problems."""

    revision: int = 0
    records: dict[str, list[str]] = field(default_factory=dict)
    leases: dict[str, list[list[str]]] = field(default_factory=dict)
    servers: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def copy(self, revision: int) -> "State":
        """The same at another revision; nodes may be added and removed, what they have is shared."""
        return State(revision, dict(self.records), dict(self.leases), dict(self.servers), dict(self.problems))

    def to_text(self) -> str:
        """As JSON."""
        # dataclasses.asdict() copies everything, which costs more than all else here.
        return json.dumps({one.name: getattr(self, one.name) for one in fields(self)})


@dataclass(slots=True)
class DhcpKeeper:
    """Keeps the records of Kind.DHCP for the dnsmasq of one host (core.wanted.Keeper)."""

    folder: Path
    #: Name of this service node, as pools have it.
    name: str
    #: Lets the running dnsmasq read its files again, by SIGHUP or a restart; does nothing when none runs.
    signal: Callable[[], None]
    #: Ends leases of these (address, MAC) pairs, those that there are.
    release: Callable[[Sequence[tuple[str, str]]], None] = lambda pairs: None
    #: What `revision` read, for `behind`, which is asked next: ten thousand nodes are 10 ms of JSON.
    _known: State | None = field(default=None, init=False)

    def revision(self) -> int:
        """The revision that the files are at; 0 when there are none."""
        self._known = self._read()
        return self._known.revision

    def behind(self, names: Collection[str]) -> Sequence[str]:
        """Nodes whose last document could not be put into effect; who edits the files starts from nothing."""
        state, self._known = self._known or self._read(), None
        return list(state.problems)

    def apply(self, changes: Sequence[Change], revision: int) -> dict[str, str]:
        """Put the changes into effect; node → sentence of those that failed. Raises RequestError."""
        prepare(self.folder)
        self._known = None
        old = self._read()
        new = old.copy(revision)
        failed = {}
        for change in changes:
            new.problems.pop(change.name, None)
            if sentence := self._take(new, change):
                failed[change.name] = new.problems[change.name] = sentence
        if self._write(old, new):
            self.release(_lost(old, new, [change.name for change in changes]))
            self.signal()
        if new != old:
            write_whole(self.folder / STATE, new.to_text())
        return failed

    def _take(self, state: State, change: Change) -> str:
        """Put one change into the state; a sentence when that is not possible."""
        node = change.name
        try:
            doc = from_text(change.document) if change.document is not None else None
            lines = records(doc, self.name) if doc else []
        except RequestError as error:
            return error.message
        for one in (state.records, state.leases, state.servers):
            one.pop(node, None)
        if doc and lines:
            state.records[node] = lines
            state.leases[node] = [[host.ip, host.mac] for host in doc.hosts if host.ip]
        if doc and doc.server:
            state.servers[node] = doc.server
        return ""

    def _write(self, old: State, new: State) -> bool:
        """Write what differs; whether dnsmasq must be told."""
        told = set(new.servers.values()) != set(old.servers.values()) or not old.revision
        if told:
            write_whole(self.folder / OPTIONS, options(set(new.servers.values())))
        added = [line for node, lines in new.records.items() if node not in old.records for line in lines]
        kept = all(new.records.get(node) == lines for node, lines in old.records.items())
        more = self.folder / MORE_HOSTS
        if kept and old.revision and len(list(more.iterdir())) < MOST_FILES:
            if added:
                write_whole(more / str(new.revision), _text(added))
            return told
        every = (line for lines in new.records.values() for line in lines)
        write_whole(self.folder / HOSTS, HEAD + _text(every))
        for file in more.iterdir():
            file.unlink(missing_ok=True)
        return True

    def _read(self) -> State:
        """What was written last; nothing when a file is missing, empty or no state."""
        hosts = self.folder / HOSTS
        if not hosts.exists() or not hosts.stat().st_size:
            return State()
        with suppress(OSError, ValueError, TypeError):
            return State(**json.loads((self.folder / STATE).read_text(encoding="utf-8")))
        return State()


def records(doc: DhcpDoc, server: str) -> list[str]:
    """The lines of a node on the host `server`. Raises RequestError for a value that would break them.

    A server that is not in the node's pool knows the node, so that it gives it no dynamic address, and leaves
    the answer to the pool.
    """
    if doc.pool and not any(same_host(server, member) for member in doc.pool):
        return [f"{value(host.mac)},ignore" for host in doc.hosts]
    tags = [] if not doc.pool or same_host(server, doc.pool[0]) else [f"set:{LATER}"]
    return list(_lines(doc, tags))


def _lines(doc: DhcpDoc, tags: list[str]) -> Iterator[str]:
    """One line for each address; several interfaces with one address (a bond) share it."""
    by_ip: dict[str, list[DhcpHost]] = {}
    for host in doc.hosts:
        by_ip.setdefault(host.ip, []).append(host)
    for place, (ip, sharing) in enumerate(by_ip.items()):
        if not ip:
            yield from (f"{value(host.mac)},ignore" for host in sharing)
            continue
        name = doc.node if place == 0 else sharing[0].name
        words = [*(host.mac for host in sharing), *tags]
        if place == 0:
            words += [f"set:{doc.loader}"] if doc.loader else []
            words += [f"set:{PROXIED}"] if doc.loader and doc.proxy else []
            words += [f"set:{_tag(doc.server)}"] if doc.server else []
        yield ",".join(value(word) for word in [*words, ip, *([name] if HOST_NAME.fullmatch(name) else [])])


def options(servers: Iterable[str]) -> str:
    """The lines that name servers other than the one that answers."""
    return _text(f"tag:{_tag(server)},option:server-ip-address,{value(server)}" for server in sorted(servers))


def _tag(server: str) -> str:
    return f"at-{server}"


def _lost(old: State, new: State, nodes: Iterable[str]) -> list[tuple[str, str]]:
    """The (address, MAC) pairs of these nodes that may not be leased any more."""
    had = {(ip, mac) for node in nodes for ip, mac in old.leases.get(node, ())}
    return sorted(had - {(ip, mac) for node in nodes for ip, mac in new.leases.get(node, ())})


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
