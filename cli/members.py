"""`serval sn`: the members of all pools with their leases; `serval sn forget`, `drain` and `undrain`."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field

from cli.arguments import Parser, command
from cli.columns import aligned
from cli.context import Context
from cli.drains import drain, undrain
from cli.objects import printable
from cli.plan import observe
from cli.power import broker
from core.errors import RequestError
from core.fold import fold
from core.services.wanted import Result, State
from db import drains, history, members, snservices
from db.engine import Connection, reading, writing
from db.home import open_home
from db.nodes import DatabaseNodes
from db.schema import open_database
from routing import pools
from routing.liveness import Kind, Liveness, Observer

HEADS = (
    "NAME",
    "ROLE",
    "STATE",
    "RELEASE",
    "PROTOCOL",
    "JOINED",
    "ATTEMPTS",
    "FIRST",
    "ANY",
    "SERVICES",
    "REASON",
)


@dataclass(slots=True)
class Known:
    """What the database says about members, read in one snapshot."""

    service_nodes: set[str]
    pools: pools.Pools
    joined: set[str]
    attempts: dict[str, int]
    drained: dict[str, str]
    #: What members say of their daemons.
    services: dict[str, list[Result]]


@dataclass(frozen=True, slots=True)
class Member:
    """One management or service node. `first` and `any` count the nodes whose pools name it."""

    name: str
    role: str
    state: Kind
    release: str | None
    protocol: int | None
    joined: bool
    attempts: int
    first: int
    any: int
    reason: str
    load: dict[str, float] = field(default_factory=dict)
    services: list[Result] = field(default_factory=list)


@command
def sn(argv: list[str], ctx: Context) -> int:
    """List the members of all pools; 1 when one of them cannot work."""
    parser = Parser(
        ctx,
        "serval sn",
        description="List management and service nodes: lease, release, attempts in hand, nodes served.",
        epilog="serval sn drain NAME    gives NAME no new work; its nodes go to the next of their pool.\n"
        "serval sn undrain NAME  gives it work again.\n"
        "serval sn forget NAME   lets NAME join again with a new key, when its home was made anew.\n\n"
        "FIRST and ANY count the nodes whose pool names it first, or at all.\n"
        "Exit status: 1 when a member of some pool is neither live nor drained, or a service of it failed.",
    )
    parser.add_argument("words", nargs="*", metavar="drain|undrain|forget NAME", help="see below")
    parser.add_argument("--reason", default="", metavar="TEXT", help="why it is drained, for others to read")
    parser.add_argument("--force", action="store_true", help="drain it even if nobody is left for some nodes")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, one line a member")
    options = parser.parse_intermixed_args(argv)
    if not options.words:
        return show(ctx, options.json)
    verb, name = options.words if len(options.words) == 2 else ("", "")
    if verb not in ("drain", "undrain", "forget"):
        parser.error(f"unknown words: {' '.join(options.words)}")
    if verb == "drain":
        return drain(ctx, name, options.reason, force=options.force)
    return undrain(ctx, name) if verb == "undrain" else forget(ctx, name)


def forget(ctx: Context, name: str) -> int:
    """Take a member's public key away. Raises RequestError when it has none."""
    with writing(open_database(ctx.env)) as connection:
        if not members.forget(connection, name):
            known = ", ".join(sorted(members.keys(connection))) or "nobody"
            raise RequestError(f"{name} has not joined; these have: {known}")
    ctx.say(f"{name} is forgotten: it gets no work until its worker has started again and joined")
    return 0


def show(ctx: Context, as_json: bool) -> int:
    """Print a line for each member; the exit status."""
    home = open_home(ctx.env)
    with reading(open_database(ctx.env)) as connection:
        known = read_known(connection, home.mn)
    in_pools = pools.all_names(known.pools.of.values())
    named = {home.mn, home.name, *known.service_nodes, *known.joined, *in_pools}
    observer = observe(broker(home), named)
    observer.drained = known.drained
    found = judge(known, observer, home.mn, named)
    if as_json:
        for one in found:
            ctx.say(json.dumps(asdict(one), ensure_ascii=False))
    else:
        rows = [[*row_of(one), one.reason] for one in found]
        for line in aligned(HEADS, rows):
            ctx.say(line)
    for one in found:
        if one.state is Kind.LIVE and one.load.get("status_port") == 0:
            ctx.complain(f"{one.name}: its port for node status is taken: nodes cannot report to it")
    for text, nodes in known.pools.remarks:
        ctx.complain(f"{fold(nodes)}: {printable(text)}")
    failed = [(one.name, told) for one in found for told in one.services if told.state is State.FAILED]
    for name, told in failed:
        ctx.complain(printable(f"{name}: {told.service}: {told.sentence}"))
    unfit = any(one.any and one.state not in (Kind.LIVE, Kind.DRAINED) for one in found) or failed
    return 1 if unfit or known.pools.hopeless else 0


def read_known(connection: Connection, mn: str) -> Known:
    """What the database says."""
    nodes = sorted(DatabaseNodes(connection).nodes())
    return Known(
        service_nodes=pools.service_nodes(connection),
        pools=pools.pools_of(connection, nodes, mn),
        joined=set(members.keys(connection)),
        attempts=history.in_hand(connection),
        drained=drains.drained(connection),
        services=snservices.known(connection),
    )


def judge(known: Known, observer: Observer, mn: str, named: set[str]) -> list[Member]:
    """Every member once, whatever names it goes by, ordered by name."""
    first: Counter[str] = Counter()
    any_: Counter[str] = Counter()
    for pool, number in Counter(known.pools.of.values()).items():
        names = [observer.find(name) or name for name in pools.members(pool)]
        first[names[0]] += number
        for name in dict.fromkeys(names):
            any_[name] += number
    found = {observer.find(name) or name for name in named} | set(observer.leases)
    return [
        member(known, observer, name, "mn" if name == mn else "sn", (first[name], any_[name]))
        for name in sorted(found)
    ]


def member(known: Known, observer: Observer, name: str, role: str, served: tuple[int, int]) -> Member:
    """One member as it is printed."""
    lease = observer.lease(name)
    joined = name in known.joined
    standing = observer.standing(name)
    alive = observer.state(name)
    if standing.kind is Kind.DRAINED and not alive.usable:
        standing = Liveness(Kind.DRAINED, f"{standing.reason} ({alive.kind}: {alive.reason})")
    if standing.kind is Kind.LIVE and not joined:
        standing = Liveness(Kind.UNUSABLE, "it has not joined: its public key is not in the database")
    return Member(
        name=name,
        role=lease.role if lease else role,
        state=standing.kind,
        release=lease.release if lease else None,
        protocol=lease.protocol if lease else None,
        joined=joined,
        attempts=known.attempts.get(name, 0),
        first=served[0],
        any=served[1],
        reason="" if standing.usable else standing.reason,
        load=dict(lease.load) if lease else {},
        services=known.services.get(name, []),
    )


def row_of(one: Member) -> list[object]:
    """The columns of HEADS but the last."""
    joined = "yes" if one.joined else "no"
    counts = [one.attempts, one.first, one.any, services_in_brief(one.services)]
    return [one.name, one.role, one.state.value, one.release or None, one.protocol, joined, *counts]


def services_in_brief(told: list[Result]) -> str | None:
    """`4 ok, 1 failed`; None when nothing is asked of the member."""
    counts = Counter(one.state for one in told)
    return ", ".join(f"{counts[state]} {state}" for state in State if counts[state]) or None
