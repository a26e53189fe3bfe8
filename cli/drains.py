"""`serval sn drain` and `serval sn undrain`: taking a member out of service, and back."""

import time
from dataclasses import dataclass

from cli.context import Context
from cli.objects import printable
from cli.plan import observe
from cli.power import broker
from core.errors import RequestError, UnavailableError
from core.fold import fold
from db import drains, history, members
from db.engine import reading, writing
from db.home import Home, open_home
from db.nodes import DatabaseNodes
from db.schema import open_database
from routing import pools
from routing.liveness import Observer


@dataclass(slots=True)
class Duty:
    """What stands in the tables: node → pool, who has joined, attempts in hand."""

    pools: dict[str, str]
    joined: set[str]
    in_hand: dict[str, int]


def drain(ctx: Context, name: str, reason: str, *, force: bool) -> int:
    """Give a member no new work. Raises RequestError when some nodes would have nobody, unless `force`."""
    reason = reason.strip()
    if not reason.isprintable():
        raise RequestError("--reason is one line of text")
    home, engine = open_home(ctx.env), open_database(ctx.env)
    duty, observer = look(ctx, home, force=force)
    member = known_member(name, duty, observer)
    alone = left_alone(member, duty, observer)
    if alone and not force:
        raise RequestError(
            f"no other live member would be left for {len(alone)} nodes: {fold(alone)}. Nothing was changed; "
            f"with --force {member} is drained nevertheless"
        )
    if alone:
        ctx.complain(f"Warning: no other live member is left for {len(alone)} nodes: {fold(alone)}")
    with writing(engine) as connection:
        drains.drain(connection, member, ctx.who, reason, time.time())
    number = duty.in_hand.get(member, 0)
    rest = f"; it has {number} attempts in hand, see: serval sn" if number else ""
    ctx.say(f"{member} is drained: no new work goes to it{rest}")
    return 0


def undrain(ctx: Context, name: str) -> int:
    """Give a member work again. Raises RequestError when it was not drained."""
    with writing(open_database(ctx.env)) as connection:
        found = drains.drained(connection)
        if not drains.undrain(connection, name):
            others = f"these are: {', '.join(found)}" if found else "nobody is"
            raise RequestError(f"{printable(name)} is not drained; {others}")
    ctx.say(f"{name} gets work again")
    return 0


def look(ctx: Context, home: Home, *, force: bool) -> tuple[Duty, Observer]:
    """The tables, and the leases of all members that they name; with `force` even without Redis."""
    with reading(open_database(ctx.env)) as connection:
        served = pools.pools_of(connection, sorted(DatabaseNodes(connection).nodes()), home.mn)
        duty = Duty(served.of, set(members.keys(connection)), history.in_hand(connection))
        drained = drains.drained(connection)
    names = {home.mn, *duty.joined, *pools.all_names(duty.pools.values())}
    try:
        observer = observe(broker(home), names)
    except UnavailableError as error:
        if not force:
            raise
        ctx.complain(f"Warning: nobody can be judged: {error.message}")
        observer = Observer()
    observer.drained = drained
    return duty, observer


def known_member(name: str, duty: Duty, observer: Observer) -> str:
    """The name that the member meant gives itself. Raises RequestError when there is none."""
    member = observer.find(name) or name
    known = {*duty.joined, *observer.leases, *pools.all_names(duty.pools.values())}
    if member not in known:
        raise RequestError(
            f"{printable(name)} is no member; these are: {', '.join(sorted(known)) or 'nobody'}"
        )
    return member


def left_alone(member: str, duty: Duty, observer: Observer) -> list[str]:
    """The nodes that nobody but this member can serve now."""
    served: dict[str, bool] = {}
    for pool in set(duty.pools.values()):
        names = {observer.find(name) or name for name in pools.members(pool)}
        others = (one for one in names - {member} if one in duty.joined)
        served[pool] = member not in names or any(observer.standing(one).usable for one in others)
    return sorted(node for node, pool in duty.pools.items() if not served[pool])
