"""`--plan`: what would be sent where, without sending anything or writing a row."""

import json
import time
from collections.abc import Collection

from cli.context import Context
from core.fold import fold
from db import drains
from db.engine import reading
from db.jobs import NewJob
from db.schema import open_database
from drivers import leases
from routing.authority import boottime
from routing.liveness import LIFE_S, Kind, Observer
from routing.planning import choose, explain
from routing.pools import all_names

#: Long enough to see every live service node beat.
WATCH_S = 1.2
#: Who was silent for a whole life is dead; on a busy machine it may take two to be sure.
LONGEST_S = 2 * LIFE_S
LOOK_S = 0.2


def print_plan(ctx: Context, broker: str, job: NewJob, as_json: bool) -> int:
    """One line for each service node that would get nodes; 1 when some node has none."""
    observer = observe(broker, all_names(job.pools.values()))
    with reading(open_database(ctx.env)) as connection:
        observer.drained = drains.drained(connection)
    groups: dict[tuple[str, str], list[str]] = {}
    for node, pool in job.pools.items():
        choice = choose(pool.split(","), (), observer.standing)
        reason = explain(choice.absent) if choice.absent else ""
        groups.setdefault((choice.member or "", reason), []).append(node)
    for node, (_, text) in job.hopeless.items():
        groups.setdefault(("", text), []).append(node)
    for (member, reason), nodes in sorted(groups.items()):
        ctx.say(plan_line(member, reason, nodes, as_json))
    return 1 if any(not member for member, _ in groups) else 0


def plan_line(member: str, reason: str, nodes: list[str], as_json: bool) -> str:
    """`sn1: 250 nodes: n[001-250] (after …)`."""
    if as_json:
        told = {"sn": member or None, "nodes": fold(nodes), "count": len(nodes), "reason": reason or None}
        return json.dumps(told)
    after = f" ({reason})" if reason else ""
    return f"{member or 'nobody'}: {len(nodes)} nodes: {fold(nodes)}{after}"


def observe(broker: str, names: Collection[str]) -> Observer:
    """Watch the leases in the Redis at this URL just long enough to know which of `names` beat.

    It takes WATCH_S when all of them do, and a whole life when one is silent. Raises UnavailableError.
    """
    observer = Observer()
    client = leases.connect(broker)
    began = boottime()
    while True:
        found = leases.read(client)
        now = boottime()
        observer.saw(now, found)
        unknown = any(observer.state(name).kind is Kind.UNKNOWN for name in names)
        if now - began > (LONGEST_S if unknown else WATCH_S):
            return observer
        time.sleep(LOOK_S)
