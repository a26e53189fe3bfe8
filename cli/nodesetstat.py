"""`nodeset NODERANGE stat`: what nodes are to boot; with -V, whether every service node has the files so."""

import argparse
import io
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from cli.context import Context
from cli.follow import Follower, Options
from cli.noderange import node_list
from cli.power import broker
from core.bootdoc import from_text
from core.errors import UnavailableError
from core.nodeset.decide import OFFLINE
from core.stepspec import NODESET
from core.syncspec import Mode
from core.wanted import Kind
from db import deliveries, events, jobs, wanted
from db.deliveries import Delivery
from db.engine import Connection, Engine, reading, writing
from db.home import Home
from drivers import leases, wake
from routing.spread import SpreadAsk, new_job


@dataclass(frozen=True, slots=True)
class Line:
    """One node, as one of its service nodes has it; without one, as it is wanted."""

    node: str
    state: str
    sn: str = ""
    #: Of the files; empty when they are not as they should be, for the reason in `message`.
    checksum: str = ""
    message: str = ""

    def __str__(self) -> str:
        if not self.sn:
            return f"{self.node}: {self.state}"
        said = f"Error: {self.message}" if self.message else f"{self.state} ({self.checksum})"
        return f"{self.node}: [{self.sn}]: {said}"

    def as_json(self) -> str:
        """The keys are part of the interface."""
        told = {name: getattr(self, name) or None for name in self.__slots__}
        return json.dumps(told, ensure_ascii=False)


def stat(ctx: Context, home: Home, engine: Engine, options: argparse.Namespace) -> int:
    """Print it; 1 when a service node's files are not as they should be, or it could not be asked."""
    with reading(engine) as connection:
        nodes = node_list(connection, options.noderange, ctx)
        states = states_of(connection, nodes)
        members = wanted.members_of(connection, Kind.BOOT, nodes) if options.verbose else {}
    members = {node: names for node, names in members.items() if names}
    told = ask(ctx, home, engine, f"nodeset {options.noderange} stat", members) if members else {}
    bad = False
    for node in nodes:
        for line in lines(node, states[node], members.get(node, ()), told):
            bad = bad or bool(line.message)
            say = ctx.complain if line.message and not options.json else ctx.say
            say(line.as_json() if options.json else str(line))
    return 1 if bad else 0


def states_of(connection: Connection, nodes: Iterable[str]) -> dict[str, str]:
    """The state of each node as its document has it; a node without one is offline."""
    nodes = list(nodes)
    found = wanted.documents(connection, Kind.BOOT, nodes)
    return {node: from_text(found[node]).state if node in found else OFFLINE for node in nodes}


def lines(
    node: str, state: str, members: Sequence[str], told: Mapping[tuple[str, str], tuple[str, str]]
) -> Iterator[Line]:
    """One line for each member; `told` has checksum and complaint by member and node."""
    if not members:
        yield Line(node, state)
    for name in members:
        checksum, message = told.get((name, node), ("", "it did not answer"))
        yield Line(node, state, name, checksum, message)


def ask(
    ctx: Context, home: Home, engine: Engine, label: str, members: Mapping[str, Sequence[str]]
) -> dict[tuple[str, str], tuple[str, str]]:
    """Have every member look at its files: checksum and complaint by member and node."""
    redis = leases.connect(broker(home))
    leases.read(redis)
    job = new_job(
        SpreadAsk(
            request=ctx.request,
            command=NODESET,
            label=label,
            who=ctx.who,
            kinds=(Kind.BOOT,),
            pools=members,
            mode=Mode.INSPECT,
            changing=False,
        )
    )
    with writing(engine) as connection:
        number = jobs.enter(connection, job, time.time())
    with suppress(UnavailableError):
        wake.ring(redis)
    silent = replace(ctx, out=io.StringIO(), err=io.StringIO())
    Follower(silent, engine, number, Options()).follow()
    with reading(engine) as connection:
        found = dict(_absent(connection, number, members))
        for delivery in deliveries.deliveries(connection, number):
            found |= {(delivery.sn, node): _said(delivery, node) for node in delivery.nodes}
    return found


def _absent(
    connection: Connection, number: int, members: Mapping[str, Sequence[str]]
) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """What is known of members that were not asked: why the node failed, or why this one was left behind."""
    for result in jobs.results(connection, number):
        if result.error:
            yield from (((name, result.node), ("", result.text)) for name in members[result.node])
    behind = {one.sn: one.message for one in events.of_job(connection, number) if one.kind == "behind"}
    for node, names in members.items():
        yield from (((name, node), ("", behind[name])) for name in names if name in behind)


def _said(delivery: Delivery, node: str) -> tuple[str, str]:
    problem = delivery.failed or delivery.said.problems.get(node, "")
    if not problem and not delivery.over:
        problem = "it has not answered yet"
    return delivery.said.texts.get(node, ""), problem
