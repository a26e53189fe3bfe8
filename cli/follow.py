"""Following a job: its results as they become final, what it waits for, Ctrl-C, and the exit status.

Only the database is asked: what it does not hold is not true yet. A result is printed once.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cli.context import Context
from cli.objects import printable
from core.errors import UnavailableError
from core.fold import fold, unfold
from core.states import JobState, Outcome
from db import events, jobs
from db.engine import Engine, reading
from db.jobs import JobInfo, NodeResult
from routing.planning import SMALL_JOB, read_tried

#: A job of one node takes 40 ms: then looks come fast, later less often.
FIRST_LOOK_S = 0.03
FAST_LOOK_S = 0.005
SOON_S = 0.25
LOOK_S = 0.1
#: … and one look at ten thousand nodes costs what others need: so many times as long is rested after it.
REST = 3
#: Writers' clocks may differ by so much; the last look compares everything anyway.
CLOCKS_S = 5.0
#: A job that no supervisor takes within this time has nobody to do it.
ADOPTION_S = 6.0
#: Silence after which the command says what it waits for.
QUIET_S = 1.5
#: How long a database that does not answer is asked again before the command gives up.
DATABASE_S = 8.0


@dataclass(slots=True)
class Options:
    """How results are shown."""

    verbose: bool = False
    as_json: bool = False


@dataclass(slots=True)
class Follower:
    """One command that follows one job."""

    context: Context
    engine: Engine
    job: int
    options: Options
    started: float = field(default_factory=time.monotonic)
    _seen: set[str] = field(default_factory=set)
    _counts: Counter[str] = field(default_factory=Counter)
    _problems: dict[str, list[str]] = field(default_factory=dict)
    _last: float = 0.0
    _told: set[int] = field(default_factory=set)

    def follow(self) -> int:
        """Print until the job is over; 0 when every node is ok, 1 when not, 130 when the user left."""
        try:
            return self._until_done()
        except KeyboardInterrupt:
            return self.leave()

    def _until_done(self) -> int:
        time.sleep(FIRST_LOOK_S)
        pause, quiet = FAST_LOOK_S, time.monotonic()
        while True:
            began = time.monotonic()
            info, fresh = self._look()
            rest = REST * (time.monotonic() - began)
            self._show_all(fresh)
            if fresh:
                quiet = time.monotonic()
            if over(info):
                return self._end(info)
            self._check_taken(info)
            if time.monotonic() - quiet > QUIET_S:
                self._say_what_it_waits_for()
                quiet = time.monotonic()
            time.sleep(pause if info.size <= SMALL_JOB else max(pause, min(rest, LOOK_S)))
            if time.monotonic() - self.started > SOON_S:
                pause = min(pause * 1.5, LOOK_S)

    def _look(self) -> tuple[JobInfo, list[NodeResult]]:
        """The job and the results that were not shown; a short trouble of the database is waited out."""
        deadline = time.monotonic() + DATABASE_S
        while True:
            try:
                return self._read()
            except UnavailableError as error:
                if time.monotonic() > deadline:
                    raise UnavailableError(
                        f"{error.message}. Job {self.job} stays; watch it with: serval watch {self.job}"
                    ) from error
                time.sleep(0.5)

    def _read(self) -> tuple[JobInfo, list[NodeResult]]:
        with reading(self.engine) as connection:
            info = jobs.info(connection, self.job)
            if info is None:
                raise UnavailableError(f"job {self.job} is not in the database any more")
            since = None if over(info) else self._last - CLOCKS_S
            found = jobs.results(connection, self.job, since)
        fresh = [result for result in found if result.node not in self._seen]
        self._seen.update(result.node for result in fresh)
        self._last = max([self._last, *(result.ended or 0.0 for result in fresh)])
        return info, fresh

    # -- showing -----------------------------------------------------------------------------------

    def _show_all(self, fresh: list[NodeResult]) -> None:
        """Print results, but for those that the caller has seen from a server that was lost since."""
        for result in fresh:
            self._count(result)
        new = [result for result in fresh if result.node not in self.context.shown]
        for result in new:
            self._show(result)
        if new:
            self.context.out.flush()
            self.context.err.flush()
            self.context.note_shown([result.node for result in new])

    def _count(self, result: NodeResult) -> None:
        self._counts[result.outcome] += 1
        if result.outcome != Outcome.OK:
            self._problems.setdefault(result.outcome, []).append(result.node)

    def _show(self, result: NodeResult) -> None:
        if self.options.as_json:
            self.context.say(as_json(self.job, result))
        elif result.outcome == Outcome.OK:
            self.context.say(ok_line(result, self.options.verbose))
        else:
            self.context.complain(error_line(result))

    def _end(self, info: JobInfo) -> int:
        well = self._counts[Outcome.OK] == info.size
        if not well and info.size > 1:
            self.context.complain(f"job {info.id}: {summary(self._counts, self._problems)}")
        self._name_those_left_behind()
        return 0 if well else 1

    def _name_those_left_behind(self) -> None:
        """Members of a pool that were away: the nodes are ok without them, but not served by them."""
        with reading(self.engine) as connection:
            found = [one for one in events.of_job(connection, self.job) if one.kind == "behind"]
        for sn in dict.fromkeys(one.sn for one in found):
            mine = [one for one in found if one.sn == sn]
            nodes = fold(name for one in mine for name in unfold(one.nodes))
            self.context.complain(printable(f"{mine[0].message} ({nodes})"))

    def _check_taken(self, info: JobInfo) -> None:
        """A job without a supervisor is cancelled: it must not start whenever one appears."""
        if info.supervisor is not None or time.monotonic() - self.started < ADOPTION_S:
            return
        jobs.cancel(self.engine, self.job, "the command, because no management node took it", time.time())
        raise UnavailableError(
            "no management node worker took the job, so it was cancelled and nothing was sent. "
            "Start one with: serval up   (or: serval worker)"
        )

    def _say_what_it_waits_for(self) -> None:
        with reading(self.engine) as connection:
            waiting = jobs.blockers(connection, self.job)
            found = {older: jobs.info(connection, older) for older in waiting if older not in self._told}
        for older, info in found.items():
            self._told.add(older)
            if info is not None:
                what = f"{info.label}, asked by {info.who}"
                self.context.complain(f"{waiting[older]} nodes wait for job {older} ({what})")

    # -- leaving -----------------------------------------------------------------------------------

    def leave(self) -> int:
        """The first Ctrl-C leaves the job alone and says so; a second one within the wait cancels it."""
        try:
            self.context.complain(
                f"\njob {self.job} goes on. Watch it: serval watch {self.job}   "
                f"Cancel it: serval cancel {self.job}   (Ctrl-C again now cancels)"
            )
            time.sleep(1.5)
        except KeyboardInterrupt:
            ended = jobs.cancel(self.engine, self.job, self.context.who, time.time())
            self.context.complain(f"job {self.job}: {len(ended)} nodes cancelled, the rest had been sent")
        return 130


def over(info: JobInfo) -> bool:
    """Whether every node has its outcome: they are final, even while the job itself is not yet closed."""
    return info.state == JobState.DONE or not info.counts.get("")


def ok_line(result: NodeResult, verbose: bool) -> str:
    """`n1: on`; verbose `n1: [sn2]: on (sn1: BMC silent)`."""
    if not verbose:
        return f"{result.node}: {printable(result.text)}"
    hops = "; ".join(str(one) for one in read_tried(result.tried))
    told = f"{result.node}: [{result.sn}]: {result.text}" + (f" (after {hops})" if hops else "")
    return printable(told)


def error_line(result: NodeResult) -> str:
    """`n1: [sn1]: Error: …` as xCAT prints it; an outcome that is not an error of the node is named."""
    named = "" if result.outcome in (Outcome.ERROR, Outcome.UNREACHED) else f"{result.outcome}: "
    return printable(f"{result.node}: [{result.sn or 'mn1'}]: Error: {named}{result.text}")


def as_json(job: int, result: NodeResult) -> str:
    """One line for programs; the keys are part of the interface."""
    told = {
        "job": job,
        "node": result.node,
        "outcome": result.outcome,
        "value": result.text if result.outcome == Outcome.OK else None,
        "message": None if result.outcome == Outcome.OK else result.text,
        "error": result.error,
        "sn": result.sn,
        "tried": [[one.sn, one.reason] for one in read_tried(result.tried)],
    }
    return json.dumps(told, ensure_ascii=False)


def summary(counts: Counter[str], problems: dict[str, list[str]]) -> str:
    """`996 ok, 4 unknown: n[001-004]`."""
    return ", ".join(_parts(counts, problems))


def _parts(counts: Counter[str], problems: dict[str, Sequence[str]] | dict[str, list[str]]) -> Iterator[str]:
    for outcome in Outcome:
        if counts[outcome] and outcome is Outcome.OK:
            yield f"{counts[outcome]} ok"
        elif counts[outcome]:
            yield f"{counts[outcome]} {outcome.value}: {fold(problems[outcome])}"
