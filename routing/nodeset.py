"""nodeset: decide what nodes shall boot, write it once, and ask their service nodes to make it so.

Deciding reads one snapshot and takes its time; writing holds the one writer's lock and is brief. Each node
that cannot be done is told why, and the others go on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from core.bootdoc import BootDoc, from_text
from core.errors import DefinitionError, NodeError, RequestError
from core.nodeset.cmdline import Place, place_of
from core.nodeset.decide import Decision, Find, decide, for_node
from core.nodeset.files import INSTALL, TFTPBOOT, Files
from core.nodeset.words import Step, Word, parse
from core.stepspec import NODESET
from core.wanted import Kind
from db import events, jobs, nodesetwrites, wanted
from db.bootvalues import WANTED, BootValues, boot_values
from db.dhcpvalues import dhcp_docs
from db.engine import Connection, one_writer
from db.home import Home
from db.lookup import Values, split_list
from db.nodesetwrites import Outlook
from drivers.netboot.loaders import render
from drivers.resolve import Resolver
from drivers.servedfiles import first_complete
from routing import imagewishes
from routing.autoinst import plan_answers
from routing.dhcp import dhcp_members
from routing.imageneeds import Needs, needs
from routing.pools import pools_from
from routing.reach import out_of_reach
from routing.spread import SpreadAsk, new_job

#: What decides; nodes that have the same of it boot the same.
DECIDING = [f"{table}.{column}" for table, columns in WANTED.items() for column in columns]
NO = ("0", "no", "n")
#: No service node has a document.
GONE: wanted.Entry = ((), "")


@dataclass(slots=True)
class Plan:
    """What shall be; every node asked for is in `decisions` or in `hopeless`."""

    decisions: dict[str, Decision] = field(default_factory=dict)
    #: What `wanted.put` shall write of these; a node that is to have no document has no members.
    boot: dict[str, wanted.Entry] = field(default_factory=dict)
    dhcp: dict[str, wanted.Entry] = field(default_factory=dict)
    answers: Mapping[str, wanted.Entry] = field(default_factory=dict)
    #: node → service nodes that act for it, best first.
    pools: dict[str, tuple[str, ...]] = field(default_factory=dict)
    #: node → error class and sentence.
    hopeless: dict[str, tuple[str, str]] = field(default_factory=dict)
    #: What the job brings to service nodes: without DHCP where site.dhcpsetup says so.
    kinds: tuple[Kind, ...] = (Kind.BOOT, Kind.DHCP)
    #: Who has the boot files in place of the pool: the management node, with site.sharedtftp.
    shared: tuple[str, ...] = ()
    #: Whether nodelist.status is written (site.nodestatus).
    with_status: bool = True
    #: What service nodes have of the images.
    images: Needs = field(default_factory=Needs)

    def entries(self, kind: Kind) -> Mapping[str, wanted.Entry]:
        """What shall be of one kind, of nodes that can be done."""
        if kind is Kind.AUTOINST:
            return {node: entry for node, entry in self.answers.items() if node in self.decisions}
        return self.boot if kind is Kind.BOOT else self.dhcp


def plan(connection: Connection, chain: Sequence[Word], nodes: Sequence[str], home: Home) -> Plan:
    """What a chain means for these nodes. Raises RequestError for site settings that cannot be used."""
    values = boot_values(connection, nodes)
    written = {node: values.nodes.get(node, {}).get("noderes.servicenode", "") for node in nodes}
    pools = pools_from(connection, written, home.mn, values.bad)
    made = Plan(pools=pools.lists(), hopeless=dict(pools.hopeless))
    if values.site.get("dhcpsetup", "").lower() in NO:
        made.kinds = (Kind.BOOT,)
    if values.site.get("sharedtftp", "1").lower() not in NO:
        made.shared = (home.mn,)
    made.with_status = values.site.get("nodestatus", "").lower() not in NO
    _decide(made, chain, values, home)
    _answer(connection, made, values.site, home)
    if chain[0].step is Step.OFFLINE:
        made.boot = made.dhcp = dict.fromkeys(made.decisions, GONE)
    else:
        made.images = needs(connection, home, values, chain, made.decisions, made.pools)
        _refuse(made, {node: (NodeError.__name__, said) for node, said in made.images.refused.items()})
        _fill_in(connection, made, values.site, home.mn)
    return made


def enter(
    connection: Connection,
    made: Plan,
    now: float,
    *,
    request: str,
    label: str,
    who: str,
    supersede: bool = False,
    fold: bool = False,
) -> int:
    """Write the plan and the job that carries it to the service nodes; the job's number.

    With `fold` a job that changes nothing is folded (db/folding.py), for somebody who waits for its end.
    """
    unchanged = not write(connection, made, now)
    pools = {node: made.pools[node] for node in made.decisions}
    if made.shared:
        own = made.pools if Kind.DHCP in made.kinds else dict.fromkeys(made.pools, ())
        pools = {node: tuple(dict.fromkeys((*made.shared, *own[node]))) for node in made.decisions}
    for node, (members, _) in made.entries(Kind.AUTOINST).items():
        pools[node] = tuple(dict.fromkeys((*members, *pools[node])))
    ask = SpreadAsk(
        request=request,
        command=NODESET,
        label=label,
        who=who,
        kinds=made.kinds,
        pools=pools,
        texts={node: decision.state for node, decision in made.decisions.items()},
        hopeless=made.hopeless,
        unchanged=unchanged and fold and not supersede,
    )
    number = jobs.enter(connection, new_job(ask), now, supersede=supersede)
    for member, said, nodes in made.images.behind:
        events.record(connection, number, now, "behind", said, sn=member, nodes=list(nodes))
    return number


def write(connection: Connection, made: Plan, now: float) -> bool:
    """Write documents and tables, where they differ; whether anything did.

    Nodes that were removed lose their documents: another one may have their addresses now.
    """
    one_writer(connection)
    imagewishes.enter(connection, made.images.wishes)
    changed: set[str] = set()
    for kind in made.kinds:
        gone = dict.fromkeys(wanted.strangers(connection, kind), GONE)
        changed |= wanted.put(connection, kind, {**gone, **made.entries(kind)}).changed
    shared = {id(decision): decision for decision in made.decisions.values()}
    outlooks = {key: _outlook(decision, made.with_status) for key, decision in shared.items()}
    asked = {node: outlooks[id(decision)] for node, decision in made.decisions.items()}
    return bool(nodesetwrites.write(connection, asked, changed, now) or changed)


def advance(connection: Connection, nodes: Sequence[str], home: Home, now: float) -> Plan:
    """Go on to the next step of chain.currchain: what an installer asks for when it is done.

    Nodes whose chain is empty stay as they are and are not in the plan. Addresses and servers stay those of
    the documents that the nodes have. Service nodes catch up by themselves.
    """
    one_writer(connection)
    whole = Plan()
    by_chain: dict[str, list[str]] = {}
    for node, text in nodesetwrites.current_chains(connection, nodes).items():
        by_chain.setdefault(text, []).append(node)
    for text, some in by_chain.items():
        made = _next(connection, text, some, home)
        write(connection, made, now)
        whole.decisions |= made.decisions
        whole.hopeless |= made.hopeless
    return whole


def _next(connection: Connection, text: str, nodes: Sequence[str], home: Home) -> Plan:
    """The plan for nodes with the same chain: no DHCP, and the status is what nodes report themselves."""
    made = Plan(kinds=(Kind.BOOT,), with_status=False)
    try:
        chain = parse(text)
        values = boot_values(connection, nodes)
    except RequestError as error:
        made.hopeless = dict.fromkeys(nodes, (type(error).__name__, error.message))
        return made
    there = wanted.documents(connection, Kind.BOOT, nodes)
    made.pools = {
        node: pool for node, pool in wanted.members_of(connection, Kind.BOOT, nodes).items() if pool
    }
    _decide(made, chain, values, home)
    _answer(connection, made, values.site, home)
    for node, decision in made.decisions.items():
        old = from_text(there[node])
        new = for_node(decision, node, old.macs, old.ip, old.server)
        made.boot[node] = (made.pools[node], new.to_text()) if new else GONE
    return made


def _answer(connection: Connection, made: Plan, site: Mapping[str, str], home: Home) -> None:
    """What installers of these nodes are told, or no longer; the job brings it where there is anything."""
    found = plan_answers(connection, home, site, made.decisions, made.pools)
    _refuse(made, found.bad)
    if found.entries:
        made.answers, made.kinds = found.entries, (*made.kinds, Kind.AUTOINST)


def _decide(made: Plan, chain: Sequence[Word], values: BootValues, home: Home) -> None:
    """Decide once for all nodes with the same values."""
    known: dict[tuple[str | None, ...], Decision | tuple[str, str]] = {}
    for node in made.pools:
        if node in values.bad:
            made.hopeless[node] = (DefinitionError.__name__, values.bad[node])
            continue
        row = values.nodes[node]
        key = tuple(map(row.get, DECIDING))
        if key not in known:
            known[key] = _decide_one(chain, row, values, home)
        decided = known[key]
        if isinstance(decided, Decision):
            made.decisions[node] = decided
        else:
            made.hopeless[node] = decided


def _decide_one(
    chain: Sequence[Word], row: Values, values: BootValues, home: Home
) -> Decision | tuple[str, str]:
    try:
        pooled = len(split_list(row.get("noderes.servicenode"))) > 1
        place = values.place if pooled else place_of(values.place, row)
        return decide(chain, row, values.images, place, _find(place, row, home))
    except RequestError as error:
        return type(error).__name__, error.message


def _find(place: Place, row: Values, home: Home) -> Find:
    folders = {
        INSTALL: home.host_path(place.installdir),
        TFTPBOOT: home.host_path(row.get("noderes.tftpdir") or place.tftpdir),
    }

    def find(candidates: Sequence[Files]) -> Files | None:
        return first_complete(candidates, folders)

    return find


def _fill_in(connection: Connection, made: Plan, site: Values, mn: str) -> None:
    """The documents, with what is each node's own; nodes that no service node can answer become hopeless."""
    resolver = Resolver()
    try:
        docs, bad = dhcp_docs(connection, list(made.decisions), made.pools, resolver.addresses)
    finally:
        resolver.close()
    ips = {node: doc.ip for node, doc in docs.items()}
    far = out_of_reach(connection, ips, made.pools, site, mn)
    knowing = dhcp_members(connection, made.pools, mn)
    bad |= {node: (DefinitionError.__name__, sentence) for node, sentence in far.items()}
    rendered: dict[int, NodeError | None] = {}
    for node, decision in made.decisions.items():
        if node in bad:
            continue
        boot = for_node(decision, node, docs[node].macs, docs[node].ip, docs[node].server)
        if boot is None:
            continue
        if id(decision) not in rendered:
            rendered[id(decision)] = _unwritable(boot)
        if error := rendered[id(decision)]:
            bad[node] = (type(error).__name__, error.message)
            continue
        made.boot[node] = (made.shared or made.pools[node], boot.to_text())
        made.dhcp[node] = (knowing[node], docs[node].to_text())
    _refuse(made, bad)


def _refuse(made: Plan, bad: Mapping[str, tuple[str, str]]) -> None:
    """Nodes that cannot be done after all, each with the class and sentence of its error."""
    made.hopeless |= bad
    if bad:
        made.decisions = {node: one for node, one in made.decisions.items() if node not in bad}


def _unwritable(document: BootDoc) -> NodeError | None:
    """Why its loader cannot carry a document; tried for one node of those that boot the same."""
    try:
        render(document)
    except NodeError as error:
        return error
    return None


def _outlook(decision: Decision, with_status: bool) -> Outlook:
    values = {"chain.currstate": decision.state, "chain.currchain": decision.currchain}
    values |= {f"nodetype.{column}": value for column, value in decision.nodetype.items()}
    return Outlook(values, decision.status if with_status else "")
