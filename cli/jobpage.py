"""The page of one job, `serval job ID`: outcomes folded, who did how many, attempts, what happened."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from cli.columns import aligned, by_message, clock, counted, date, folded, per_member
from cli.objects import printable
from core.fold import fold
from core.likeness import general
from core.states import JobState, Outcome
from db import events, history, jobs
from db.engine import Connection
from db.events import Event
from db.history import AttemptInfo, OpenNode
from db.jobs import JobInfo, NodeResult
from routing.planning import Tried, explain, read_tried

ATTEMPT_HEADS = ("ATTEMPT", "SN", "QUEUE", "NODES", "CLAIMED", "RELEASED", "ENDED", "REASON")


@dataclass(frozen=True, slots=True)
class Page:
    """A job with all that is known of it, read in one snapshot."""

    info: JobInfo
    results: Sequence[NodeResult]
    open: Sequence[OpenNode]
    attempts: Sequence[AttemptInfo]
    events: Sequence[Event]
    #: Older jobs that hold nodes of this one, with how many.
    waits_for: Sequence[tuple[JobInfo, int]]


def read_page(connection: Connection, info: JobInfo) -> Page:
    """All that is known of the job."""
    held = jobs.blockers(connection, info.id) if info.state == JobState.ACTIVE else {}
    older = [(jobs.info(connection, number), count) for number, count in sorted(held.items())]
    return Page(
        info=info,
        results=jobs.results(connection, info.id),
        open=history.open_nodes(connection, info.id),
        attempts=history.attempts_of(connection, info.id),
        events=events.of_job(connection, info.id),
        waits_for=[(job, count) for job, count in older if job is not None],
    )


def lines(page: Page) -> Iterator[str]:
    """The page for people."""
    yield from header(page)
    yield ""
    yield from folded(page.results)
    yield from states(page.open)
    yield from takeovers(page.results)
    if members := per_member(page.results):
        kinds = [one for one in Outcome if any(one in counts for counts in members.values())]
        heads = ["SN", "NODES", *(one.upper() for one in kinds)]
        yield ""
        yield from aligned(heads, [[sn, c.total(), *(c[one] for one in kinds)] for sn, c in members.items()])
    if page.attempts:
        yield ""
        yield from aligned(ATTEMPT_HEADS, map(attempt_row, page.attempts))
    if page.events:
        yield ""
        yield from map(event_line, page.events)


def header(page: Page) -> Iterator[str]:
    """What was asked, by whom, how far it is, and what it waits for."""
    info = page.info
    yield f"job {info.id}: {printable(info.label)}"
    asked = f"asked by {printable(info.who)} at {date(info.created)}"
    if info.ended is None:
        yield f"{asked}; active" + ("" if info.supervisor else ", no management node has taken it yet")
    else:
        yield f"{asked}; done after {info.ended - info.created:.1f} s"
    yield f"{len(page.results)} of {info.size} nodes have ended: {counted(info.counts)}"
    for older, count in page.waits_for:
        what = f"{printable(older.label)}, asked by {printable(older.who)}"
        yield f"waits for job {older.id} ({what}): {count} nodes"


def states(open_nodes: Sequence[OpenNode]) -> Iterator[str]:
    """`n[005-010]: 6 claimed by sn1` for nodes that go on."""
    groups: dict[str, list[str]] = {}
    for one in open_nodes:
        groups.setdefault(f"{one.state} by {one.sn}" if one.sn else one.state, []).append(one.node)
    for state, nodes in groups.items():
        yield f"{fold(nodes)}: {len(nodes)} {state}"


def takeovers(results: Sequence[NodeResult]) -> Iterator[str]:
    """`sn2 took over n[001-250] (250 nodes) after sn1: …`."""
    groups: dict[tuple[str, str], list[str]] = {}
    for result in results:
        tried = read_tried(result.tried)
        if tried and result.sn and result.outcome in (Outcome.OK, Outcome.ERROR, Outcome.UNKNOWN):
            hops = explain([Tried(one.sn, general(one.reason, result.node)) for one in tried])
            if result.sn not in {one.sn for one in tried}:
                groups.setdefault((result.sn, printable(hops)), []).append(result.node)
    for (sn, hops), nodes in sorted(groups.items()):
        yield f"{sn} took over {fold(nodes)} ({len(nodes)} nodes) after {hops}"


def attempt_row(one: AttemptInfo) -> list[object]:
    """One attempt as a row of ATTEMPT_HEADS."""
    times = (clock(one.claimed), clock(one.released), clock(one.ended))
    return [one.id, one.sn, one.queue, f"{one.size}: {one.nodes}", *times, one.reason or ""]


def event_line(one: Event) -> str:
    """`12:34:05.123 fence: … (n[001-250])`."""
    nodes = f" ({one.nodes})" if one.nodes else ""
    return f"{clock(one.at)} {one.kind}: {printable(one.message)}{nodes}"


def info_json(info: JobInfo) -> dict[str, object]:
    """A job for programs; `counts` has nodes by outcome, `open` those that go on."""
    names = ("command", "label", "who", "state", "created", "started", "ended", "size")
    counts = {outcome: number for outcome, number in info.counts.items() if outcome}
    told = {name: getattr(info, name) for name in names}
    return {"job": info.id, **told, "counts": counts, "open": info.counts.get("", 0)}


def page_json(page: Page) -> str:
    """The page for programs: one object in one line, nodes folded, times in seconds since 1970."""
    groups = [
        {"outcome": outcome, "message": text, "count": len(nodes), "nodes": fold(nodes)}
        for outcome, text, nodes in by_message(page.results)
    ]
    told = {
        **info_json(page.info),
        "outcomes": groups,
        "going_on": list(states(page.open)),
        "waits_for": {str(older.id): count for older, count in page.waits_for},
        "service_nodes": {sn: dict(counts) for sn, counts in per_member(page.results).items()},
        "attempts": [asdict(one) for one in page.attempts],
        "events": [asdict(one) for one in page.events],
    }
    return json.dumps(told, ensure_ascii=False)
