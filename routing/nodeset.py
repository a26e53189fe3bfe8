"""nodeset: decide what nodes shall boot, write it once, and ask their service nodes to make it so.

Deciding reads one snapshot and takes its time; writing holds the one writer's lock and is brief. Each node
that cannot be done is told why, and the others go on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from core.bootdoc import SERVER, BootDoc
from core.dhcpdoc import DhcpDoc
from core.errors import DefinitionError, RequestError
from core.nodeset.cmdline import Place
from core.nodeset.decide import Decision, Find, decide, for_node
from core.nodeset.files import INSTALL, TFTPBOOT, Files
from core.nodeset.words import Step, Word
from core.wanted import Kind
from db import jobs, nodesetwrites, wanted
from db.bootvalues import WANTED, BootValues, boot_values
from db.dhcpvalues import dhcp_docs
from db.engine import Connection, one_writer
from db.home import Home
from db.lookup import Values
from db.nodesetwrites import Outlook
from drivers.resolve import Resolver
from drivers.servedfiles import first_complete
from routing.pools import members, pools_of
from routing.reach import out_of_reach
from routing.spread import SpreadAsk, new_job

#: What decides; nodes that have the same of it boot the same.
DECIDING = [f"{table}.{column}" for table, columns in WANTED.items() for column in columns]
NO = ("0", "no", "n")


@dataclass(slots=True)
class Plan:
    """What shall be; every node asked for is in `decisions` or in `hopeless`."""

    decisions: dict[str, Decision] = field(default_factory=dict)
    #: Documents of the nodes that have one.
    boot: dict[str, BootDoc] = field(default_factory=dict)
    dhcp: dict[str, DhcpDoc] = field(default_factory=dict)
    #: node → service nodes that shall have its boot document, and its DHCP document.
    boot_members: dict[str, tuple[str, ...]] = field(default_factory=dict)
    dhcp_members: dict[str, tuple[str, ...]] = field(default_factory=dict)
    #: node → error class and sentence.
    hopeless: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: Whether DHCP records are written too (site.dhcpsetup).
    with_dhcp: bool = True


def plan(connection: Connection, chain: Sequence[Word], nodes: Sequence[str], home: Home) -> Plan:
    """What a chain means for these nodes. Raises RequestError for site settings that cannot be used."""
    values = boot_values(connection, nodes)
    pools = pools_of(connection, nodes, home.mn)
    made = Plan(hopeless=dict(pools.hopeless), with_dhcp=values.site.get("dhcpsetup", "").lower() not in NO)
    shared = values.site.get("sharedtftp", "1").lower() not in NO
    for node, pool in pools.of.items():
        made.dhcp_members[node] = tuple(members(pool))
        made.boot_members[node] = (home.mn,) if shared else made.dhcp_members[node]
    _decide(made, chain, values, home)
    if chain[0].step is not Step.OFFLINE:
        _address(connection, made, values, home)
    return made


def enter(connection: Connection, made: Plan, ask: SpreadAsk, now: float) -> int:
    """Write the plan and the job that carries it to the service nodes; the job's number.

    `ask` holds who asks what; its pools, kinds and texts are filled in here.
    """
    write(connection, made, now)
    kinds = (Kind.BOOT, Kind.DHCP) if made.with_dhcp else (Kind.BOOT,)
    both = {
        node: tuple(dict.fromkeys((*made.boot_members[node], *made.dhcp_members[node])))
        if made.with_dhcp
        else made.boot_members[node]
        for node in made.decisions
    }
    texts = {node: decision.state for node, decision in made.decisions.items()}
    full = replace(ask, kinds=kinds, pools=both, texts=texts, hopeless=made.hopeless)
    return jobs.enter(connection, new_job(full), now)


def write(connection: Connection, made: Plan, now: float) -> None:
    """Write documents and tables, where they differ."""
    one_writer(connection)
    done = wanted.put(connection, Kind.BOOT, _entries(made.decisions, made.boot, made.boot_members))
    changed = done.changed
    if made.with_dhcp:
        changed |= wanted.put(
            connection, Kind.DHCP, _entries(made.decisions, made.dhcp, made.dhcp_members)
        ).changed
    nodesetwrites.write(
        connection, {node: _outlook(one) for node, one in made.decisions.items()}, changed, now
    )


def advance(connection: Connection, nodes: Sequence[str], home: Home, now: float) -> Plan:
    """Go on to the next step of chain.currchain: what an installer asks for when it is done.

    Nodes whose chain is empty stay as they are and are not in the plan. Service nodes catch up by themselves.
    """
    one_writer(connection)
    whole = Plan()
    by_chain: dict[tuple[Word, ...], list[str]] = {}
    for node, chain in nodesetwrites.next_steps(connection, nodes).items():
        by_chain.setdefault(chain, []).append(node)
    for chain, some in by_chain.items():
        made = plan(connection, chain, some, home)
        write(connection, made, now)
        whole.decisions |= made.decisions
        whole.hopeless |= made.hopeless
    return whole


def _decide(made: Plan, chain: Sequence[Word], values: BootValues, home: Home) -> None:
    """Decide once for all nodes with the same values."""
    known: dict[tuple[str | None, ...], Decision | tuple[str, str]] = {}
    for node in made.boot_members:
        if node in values.bad:
            made.hopeless[node] = (DefinitionError.__name__, values.bad[node])
            continue
        row = values.nodes[node]
        key = tuple(row.get(name) for name in DECIDING)
        if key not in known:
            alone = len(made.dhcp_members[node]) == 1
            known[key] = _decide_one(chain, row, values, home, alone)
        decided = known[key]
        if isinstance(decided, Decision):
            made.decisions[node] = decided
        else:
            made.hopeless[node] = decided


def _decide_one(
    chain: Sequence[Word], row: Values, values: BootValues, home: Home, alone: bool
) -> Decision | tuple[str, str]:
    try:
        place = _place(values.place, row) if alone else values.place
        return decide(chain, row, values.images, place, _find(place, row, home))
    except RequestError as error:
        return type(error).__name__, error.message


def _place(usual: Place, row: Values) -> Place:
    """Without a pool the servers that noderes names are used; with one, whoever answers."""
    master = row.get("noderes.xcatmaster") or SERVER
    return replace(usual, reports_to=master, files_from=row.get("noderes.nfsserver") or master)


def _find(place: Place, row: Values, home: Home) -> Find:
    folders = {
        INSTALL: home.host_path(place.installdir),
        TFTPBOOT: home.host_path(row.get("noderes.tftpdir") or place.tftpdir),
    }

    def find(candidates: Sequence[Files]) -> Files | None:
        return first_complete(candidates, folders)

    return find


def _address(connection: Connection, made: Plan, values: BootValues, home: Home) -> None:
    """Fill in what is each node's own; nodes that no service node can answer become hopeless."""
    resolver = Resolver()
    try:
        found, bad = dhcp_docs(connection, list(made.decisions), made.dhcp_members, resolver.addresses)
    finally:
        resolver.close()
    ips = {node: next((host.ip for host in doc.hosts if host.ip), "") for node, doc in found.items()}
    far = out_of_reach(connection, ips, made.dhcp_members, values.site, home.mn)
    bad |= {node: (DefinitionError.__name__, sentence) for node, sentence in far.items()}
    for node, reason in bad.items():
        made.hopeless[node] = reason
        made.decisions.pop(node, None)
    for node, decision in made.decisions.items():
        made.dhcp[node] = found[node]
        document = for_node(decision, node, found[node])
        if document is not None:
            made.boot[node] = document


def _entries(
    decisions: Mapping[str, Decision],
    documents: Mapping[str, BootDoc] | Mapping[str, DhcpDoc],
    of: Mapping[str, tuple[str, ...]],
) -> dict[str, wanted.Entry]:
    """For `wanted.put`: nodes without a document have none anywhere."""
    return {
        node: (of[node], documents[node].to_text()) if node in documents else ((), "") for node in decisions
    }


def _outlook(decision: Decision) -> Outlook:
    values = {"chain.currstate": decision.state, "chain.currchain": decision.currchain}
    values |= {f"nodetype.{column}": value for column, value in decision.nodetype.items()}
    return Outlook(values, decision.status)
