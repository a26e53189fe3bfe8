"""`--plan`: what would be sent where, without sending anything or writing a row."""

import json
import time

from cli.context import Context
from core.fold import fold
from db.home import Home
from db.jobs import NewJob
from drivers import leases
from routing.authority import boottime
from routing.liveness import Observer
from routing.planning import choose, explain

#: Long enough to see every live service node beat.
WATCH_S = 1.2
LOOK_S = 0.2


def print_plan(ctx: Context, home: Home, job: NewJob, as_json: bool) -> int:
    """One line for each service node that would get nodes; 1 when some node has none."""
    observer = observe(home)
    groups: dict[tuple[str, str], list[str]] = {}
    for node, pool in job.pools.items():
        choice = choose(pool.split(","), (), observer.state)
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


def observe(home: Home) -> Observer:
    """Watch the leases just long enough to know who beats. Raises UnavailableError without Redis."""
    observer = Observer()
    client = leases.connect(home.broker_url() or "")
    deadline = boottime() + WATCH_S
    while True:
        found = leases.read(client)
        observer.saw(boottime(), found)
        if boottime() > deadline:
            return observer
        time.sleep(LOOK_S)
