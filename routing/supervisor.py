"""The supervisor: one loop that steps every job it is in charge of (docs/architecture.md).

It alone decides which service node gets which nodes, notices that one is lost, and ends jobs. It owns no
thread a job and no truth: all it knows can be read again from the database by the next supervisor. Clock,
leases and publishing are given from outside, so that a model test can drive it step by step.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

from core.errors import UnavailableError
from core.lease import Reading
from db import events, folding, supervision
from db.engine import Engine, writing
from db.supervision import FREE, JobRow
from routing import fencing, verdicts
from routing.beats import BeatWatch
from routing.catchup import CatchUp
from routing.handout import HandOut
from routing.imagespread import ImageSpread
from routing.means import Credentials, Means, parcel_of
from routing.means import Parcel as Parcel
from routing.spread import Spread
from routing.view import View, look
from routing.waiting import Waiting
from routing.watched import Watched

log = logging.getLogger(__name__)

#: A step that comes later than this after the one before may have missed anything.
PAUSE_S = 1.0
OWN_BEAT_S = 0.5
#: A folded job that has not ended after so long is unfolded.
FOLDED_S = 2.0


class Supervisor:
    """Steps jobs. `clock` runs on during suspend (seconds), `wall` is the time people read."""

    def __init__(
        self,
        name: str,
        engine: Engine,
        credentials: Credentials,
        publish: Callable[[Parcel], bool],
        clock: Callable[[], float],
        wall: Callable[[], float],
        home_name: str = "mn1",
        on_end: Callable[[int], None] = lambda job: None,
    ) -> None:
        self._means = Means(name, engine, credentials, publish, clock, wall, home_name)
        self.name = name
        self.observer = self._means.observer
        self._on_end = on_end
        self._hand_out = HandOut(self._means)
        self._spread = Spread(self._means, self._hand_out)
        self._catch_up = CatchUp(self._means)
        self._images = ImageSpread(self._means)
        self._jobs: dict[int, Watched] = {}
        self._beats = BeatWatch()
        self._peers = BeatWatch()
        self._waiting = Waiting()
        self._looked: float | None = None
        self._own_beat = float("-inf")
        self._era = ""

    def step(self, leases: Reading | None) -> None:
        """One turn: look, judge, give away what was lost, hand out what is free, end what is done.

        Raises UnavailableError when the database does not answer; the next turn reads everything again.
        """
        try:
            self._look_at_leases(leases)
            self._beat_myself()
            view = look(self._means, self._jobs)
            self.observer.drained = view.drained
            self._judge(view)
            self._forget_others(view)
            for row in view.jobs:
                self._step_safely(row, view)
            self._publish_late(view)
            self._catch_up.step(view)
            self._images.step(view)
        except UnavailableError:
            self._jobs.clear()  # nobody knows what was committed
            self.observer.begin_anew("the database did not answer")
            raise

    def leave(self) -> None:
        """An orderly stop: other supervisors may adopt the jobs at once."""
        with writing(self._means.engine) as connection:
            supervision.resign(connection, self.name)

    # -- looking ---------------------------------------------------------------------------------

    def _look_at_leases(self, leases: Reading | None) -> None:
        self.observer.saw(self._means.clock(), leases)
        if leases is None:
            self._waiting.begin_anew()
        elif leases.era != self._era:
            self._era = leases.era
            self._waiting.emptied()

    def _beat_myself(self) -> None:
        if self._means.clock() - self._own_beat >= OWN_BEAT_S:
            with writing(self._means.engine) as connection:
                supervision.enrol(connection, self.name, self._means.wall())
            self._own_beat = self._means.clock()

    def _judge(self, view: View) -> None:
        """Take the beats in; after a pause of our own everybody gets a whole life from now."""
        if self._looked is not None and view.at - self._looked > PAUSE_S:
            log.warning("paused for %.1f s; observation begins anew", view.at - self._looked)
            self._beats.begin_anew(view.at)
            self._peers.begin_anew(view.at)
            self._waiting.begin_anew()
        self._looked = view.at
        self._beats.look(view.at, {str(found.id): found.beat for found in view.attempts})
        self._peers.look(view.at, view.supervisors)
        self._waiting.look(view.at, view.attempts)

    # -- adoption --------------------------------------------------------------------------------

    def _forget_others(self, view: View) -> None:
        """Forget jobs that somebody else took or that ended."""
        epochs = {row.id: row.epoch for row in view.jobs}
        for job_id, watched in list(self._jobs.items()):
            if epochs.get(job_id) != watched.epoch:
                del self._jobs[job_id]

    def _orphan(self, row: JobRow, view: View) -> bool:
        """Whether nobody is in charge of the job, or this supervisor is without remembering it."""
        owner = row.supervisor
        if owner is None or owner == self.name or owner not in view.supervisors:
            return True
        return self._peers.dead(view.at, owner)

    def _adopt(self, row: JobRow) -> None:
        with writing(self._means.engine) as connection:
            epoch = supervision.adopt(connection, row, self.name)
            if epoch is None:
                return
            if row.supervisor not in (None, self.name):
                text = f"{self.name} took the job over from {row.supervisor}"
                events.record(connection, row.id, self._means.wall(), "adopt", text)
            folded = folding.nodes_of(connection, row.id)
            free = folded or supervision.free_nodes(connection, [row.id], FREE)
        watched = Watched(row, epoch, folded_since=self._means.clock() if folded else None)
        watched.take(free)
        self._jobs[row.id] = watched

    # -- one job ---------------------------------------------------------------------------------

    def _step_safely(self, row: JobRow, view: View) -> None:
        """Step one job; what goes wrong in it holds up no other, and it is read anew next time."""
        try:
            if row.id not in self._jobs and self._orphan(row, view):
                self._adopt(row)
            if row.id in self._jobs:
                self._step_job(self._jobs[row.id], row, view)
        except UnavailableError:
            raise
        except Exception:
            log.exception("job %d", row.id)
            self._jobs.pop(row.id, None)

    def _step_job(self, watched: Watched, row: JobRow, view: View) -> None:
        watched.refresh(row)
        watched.take(found for found in view.hopped if found.job == row.id)
        expired = self._look_at_start(watched, view)
        if watched.folded_since is not None and (expired or view.at - watched.folded_since > FOLDED_S):
            self._unfold(watched)
        # Who is drained keeps its files current all the same: it serves what boots from it.
        judge = self.observer.state if watched.sync else self.observer.standing
        for found in view.attempts:
            if found.job != row.id:
                continue
            reason = fencing.lost(found, view, self._beats, self._waiting, judge)
            if reason is None and expired and found.claimed is None:
                reason = f"{found.sn} did not take it in time"
            if reason is not None:
                fencing.fence(self._means, watched, found, reason)
        if row.id in view.workless:
            self._end_job(watched)
        elif expired:
            text = f"not started in time ({watched.job_start_s:.0f} s, site.jobstart)"
            self._hand_out.end_nodes(watched, verdicts.cancelled(watched.free.values(), text))
        elif watched.unreadable:
            failure = ("RequestError", watched.unreadable)
            self._hand_out.end_nodes(watched, [verdicts.hopeless(n, failure) for n in watched.free.values()])
        elif watched.free and watched.sync is not None:
            self._publish(self._spread.give(watched, watched.sync, view))
        elif watched.free:
            self._publish(self._hand_out.give(watched, view))

    def _unfold(self, watched: Watched) -> None:
        """Give the nodes of a folded job their rows: it takes longer than it should."""
        with writing(self._means.engine) as connection:
            if supervision.hold(connection, watched.row.id, watched.epoch):
                folding.unfold_job(connection, watched.row.id)
        watched.folded_since = None

    def _look_at_start(self, watched: Watched, view: View) -> bool:
        """Note that the job has started; the answer is whether its time to start is over."""
        row, now = watched.row, self._means.wall()
        seen = any(found.job == row.id and found.claimed is not None for found in view.attempts)
        expired = watched.expired(now)
        if row.started is not None or not (seen or expired):
            return False
        with writing(self._means.engine) as connection:
            if not supervision.hold(connection, row.id, watched.epoch):
                return False
            # An attempt may have come and gone between two looks.
            if not supervision.was_claimed(connection, row.id):
                return expired
            supervision.stamp(connection, row.id, started=now)
        watched.refresh(replace(row, started=now))
        return False

    def _end_job(self, watched: Watched) -> None:
        with writing(self._means.engine) as connection:
            held = supervision.hold(connection, watched.row.id, watched.epoch)
            ended = held and supervision.end_job(connection, watched.row.id, self._means.wall())
        if ended:
            del self._jobs[watched.row.id]
            self._on_end(watched.row.id)

    # -- publishing ------------------------------------------------------------------------------

    def _publish_late(self, view: View) -> None:
        """What nobody claimed in time, and what a supervisor before us could not publish."""
        late = [
            parcel_of(found, self._jobs[found.job].row)
            for found in view.attempts
            if found.job in self._jobs and self._waiting.late(view.at, found)
        ]
        self._publish(late)

    def _publish(self, parcels: Iterable[Parcel]) -> None:
        """Hand attempts to the broker, after their commit; twice is harmless, because the claim decides."""
        sent: list[int] = []
        for parcel in parcels:
            self._waiting.sent(self._means.clock(), parcel.attempt)
            if self._means.publish(parcel):
                sent.append(parcel.attempt)
        if sent:
            with writing(self._means.engine) as connection:
                supervision.published(connection, sent, self._means.wall())
