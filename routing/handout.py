"""Handing out: every free node that may start goes to the first live member of its pool (PROTOCOL 10, 13).

A new attempt is durable before it is published. What no member can do ends here with the reasons of all.
"""

from collections.abc import Iterable, Iterator

from db import events, supervision
from db.engine import Connection, reading, writing
from db.pacing import spend
from db.supervision import Ending
from routing import verdicts
from routing.means import Means, Parcel
from routing.planning import Choice, batch_size, choose, queue_of, write_tried
from routing.view import View
from routing.waiting import room
from routing.watched import REST_S, Todo, Watched

#: A step hands out no more after so many seconds; the next one goes on.
BUDGET_S = 0.4


class HandOut:
    """The part of a supervisor that binds nodes to service nodes."""

    def __init__(self, means: Means) -> None:
        self._means = means

    def give(self, watched: Watched, view: View) -> Iterator[Parcel]:
        """Bind what can be bound now and end what nobody can do; each new attempt, to be published at once.

        Ends early when the step has taken BUDGET_S: beats and leases must be looked at in between.
        """
        self.look_for_older(watched, view)
        if self._means.clock() < watched.rests_until:
            return
        turns: list[Iterator[Parcel]] = []
        for (pool, tried), nodes in watched.groups().items():
            members = self._means.members(pool)
            choice = choose(members, tried, self._means.standing)
            if choice.member is not None:
                turns.append(self._bind(watched, choice.member, choice, nodes, view))
            elif choice.wait:
                self.could_start(watched)
            else:
                endings = [verdicts.exhausted(node, choice.absent, members) for node in nodes]
                self.end_nodes(watched, endings)
        for parcel in in_turn(turns):
            yield parcel
            if self._means.clock() - view.at > BUDGET_S:
                return

    def end_nodes(self, watched: Watched, endings: list[Ending]) -> None:
        """Give free nodes their outcome."""
        if not endings:
            return
        with writing(self._means.engine) as connection:
            if supervision.hold(connection, watched.row.id, watched.epoch):
                supervision.end_nodes(connection, watched.row.id, endings, self._means.mn, self._means.wall())
        watched.forget([ending.node for ending in endings])

    def look_for_older(self, watched: Watched, view: View) -> None:
        """Which nodes older changing jobs still hold; said once for each such job."""
        older = [row for row in view.jobs if row.changing and row.id < watched.row.id]
        if not watched.row.changing or not older:
            watched.blocked = {}
            return
        if not watched.due(self._means.clock()):
            return
        with reading(self._means.engine) as connection:
            watched.blocked = supervision.blocked(connection, watched.row.id)
        for row in older:
            nodes = [node for node, holder in watched.blocked.items() if holder == row.id]
            if nodes and row.id not in watched.announced:
                watched.announced.add(row.id)
                self._tell_wait(watched, f"waits for job {row.id} ({row.label})", nodes)

    def _tell_wait(self, watched: Watched, text: str, nodes: list[str]) -> None:
        with writing(self._means.engine) as connection:
            if supervision.hold(connection, watched.row.id, watched.epoch):
                events.record(connection, watched.row.id, self._means.wall(), "wait", text, nodes=nodes)

    def could_start(self, watched: Watched) -> None:
        """Nothing but the service nodes holds the job up: site.jobstart counts from now."""
        if watched.row.ready is None and watched.row.changing:
            with writing(self._means.engine) as connection:
                if supervision.hold(connection, watched.row.id, watched.epoch):
                    supervision.stamp(connection, watched.row.id, ready=self._means.wall())

    def _bind(
        self, watched: Watched, member: str, choice: Choice, nodes: list[Todo], view: View
    ) -> Iterator[Parcel]:
        """Attempts on one service node for as many of `nodes` as it has room for."""
        queue, children = queue_of(member, watched.row.size), self._means.children(member)
        if not room(queue, children, view.attempts):
            self.could_start(watched)
        while nodes and room(queue, children, view.attempts):
            size = batch_size(len(nodes), children, watched.given[member])
            part, nodes = nodes[:size], nodes[size:]
            parcel = self._bind_one(watched, member, queue, choice, part)
            if parcel is None:
                return
            watched.given[member] += 1
            view.add(parcel)
            yield parcel

    def _bind_one(
        self, watched: Watched, member: str, queue: str, choice: Choice, nodes: list[Todo]
    ) -> Parcel | None:
        """One new attempt; None when nothing could be bound now."""
        means, row = self._means, watched.row
        failed = means.credentials.resolve(node.node for node in nodes)
        self.end_nodes(watched, [verdicts.hopeless(n, failed[n.node]) for n in nodes if n.node in failed])
        wanted = {node.node: node for node in nodes if node.node not in failed}
        if not wanted:
            return None
        with writing(means.engine) as connection:
            if not supervision.hold(connection, row.id, watched.epoch):
                return None
            chosen = self._paced(connection, watched, list(wanted))
            if not chosen:
                watched.rests_until = means.clock() + REST_S
                return None
            now = means.wall()
            supervision.stamp(connection, row.id, ready=now)
            tried = [(name, write_tried(wanted[name].tried)) for name in chosen]
            attempt, bound, folded = supervision.bind(connection, row, member, queue, tried, now)
            if bound:
                supervision.equip(connection, attempt, means.credentials.seal(member, row, bound))
                self._tell(connection, attempt, row.id, member, choice, [wanted[name] for name in bound])
        watched.forget(chosen)
        return Parcel(attempt, row.id, member, queue, folded, row.label, row.command) if bound else None

    def _tell(
        self,
        connection: Connection,
        attempt: int,
        job: int,
        member: str,
        choice: Choice,
        nodes: Iterable[Todo],
    ) -> None:
        """Record why these nodes do not go to the first member of their pool, if they do not."""
        listed = list(nodes)
        if hops := verdicts.hop_text(choice.absent, listed):
            names = [node.node for node in listed]
            said = f"{hops} → {member}"
            events.record(
                connection, job, self._means.wall(), "hop", said, sn=member, nodes=names, attempt=attempt
            )

    def _paced(self, connection: Connection, watched: Watched, nodes: list[str]) -> list[str]:
        pace = watched.pace
        return nodes if pace is None else nodes[: spend(connection, pace, len(nodes), self._means.wall())]


def in_turn(turns: Iterable[Iterator[Parcel]]) -> Iterator[Parcel]:
    """One parcel of each, then the next of each: every service node gets its first work soon."""
    waiting = list(turns)
    while waiting:
        for one in list(waiting):
            parcel = next(one, None)
            if parcel is None:
                waiting.remove(one)
            else:
                yield parcel
