"""Giving an attempt up: when, and what becomes of its nodes (PROTOCOL rules 4, 9, 10)."""

import logging
from collections.abc import Callable

from db import events, supervision
from db.engine import writing
from db.supervision import OpenAttempt
from routing.beats import LIFE_S, BeatWatch
from routing.liveness import Kind, Liveness
from routing.means import Means
from routing.view import View
from routing.waiting import CLAIM_S, Waiting
from routing.watched import Watched

log = logging.getLogger(__name__)


def lost(
    found: OpenAttempt, view: View, beats: BeatWatch, waiting: Waiting, judge: Callable[[str], Liveness]
) -> str | None:
    """Why this attempt must be given away, or None. A claimed one is judged by its own beat alone."""
    if found.claimed is not None:
        silent = beats.dead(view.at, str(found.id))
        return f"{found.sn} gave no beat for {LIFE_S:.0f} s" if silent else None
    standing = judge(found.sn)
    if standing.kind in (Kind.DEAD, Kind.UNUSABLE, Kind.DRAINED):
        return standing.reason
    if standing.kind is Kind.LIVE and waiting.stuck(view.at, found, view.attempts):
        return f"{found.sn} has claimed no work for {CLAIM_S:.0f} s"
    return None


def fence(means: Means, watched: Watched, found: OpenAttempt, reason: str) -> None:
    """End the attempt if its beat is still the one that was judged, and record what became of its nodes."""
    job, now = watched.row.id, means.wall()
    with writing(means.engine) as connection:
        if not supervision.hold(connection, job, watched.epoch):
            return
        given = supervision.fence(connection, found, reason, now)
        if given is None:
            return
        unknown, free = given
        for nodes, text in ((unknown, "unknown"), (free, "to the next service node")):
            if nodes:
                said = f"{reason}: {text}"
                events.record(connection, job, now, "fence", said, sn=found.sn, nodes=nodes, attempt=found.id)
    log.warning("job %d attempt %d: %s", job, found.id, reason)
