"""`serval watch ID`: a progress bar on a terminal, plain lines elsewhere. Watching changes nothing.

The bar is drawn by rich (https://rich.readthedocs.io, progress display), which nothing else here imports.
"""

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from cli.arguments import Parser, command
from cli.columns import counted, folded
from cli.context import Context
from cli.follow import ADOPTION_S, DATABASE_S
from cli.jobs import find_job
from cli.objects import printable
from core.errors import UnavailableError
from core.states import Outcome
from db import history, jobs
from db.engine import Engine, reading
from db.home import open_home
from db.jobs import JobInfo
from db.schema import open_database

LOOK_S = 0.2
#: Plain lines come no faster than this, seconds.
LINE_S = 1.0
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Look:
    """How the job stands at one moment."""

    info: JobInfo
    members: dict[str, int]
    #: Nodes that ended in each second since the watch began.
    rate: float = 0.0

    @property
    def done(self) -> int:
        """Nodes with an outcome."""
        return self.info.size - self.info.counts.get("", 0)

    @property
    def over(self) -> bool:
        """Whether every node has its outcome: they are final, even while the job is not yet closed."""
        return self.done == self.info.size

    def text(self) -> str:
        """`118 ok, 2 error, 60/s, sn1 70, sn2 50`."""
        ended = {outcome: number for outcome, number in self.info.counts.items() if outcome}
        parts = [counted(ended) or "none has ended", *([f"{self.rate:.0f}/s"] if self.rate else [])]
        return printable(", ".join([*parts, *(f"{sn} {number}" for sn, number in self.members.items())]))


class Display(Protocol):
    """Shows a job while it goes on."""

    def show(self, look: Look) -> None:
        """Show how it stands now."""


class Bar:
    """A progress bar of rich, drawn only when `show` is called."""

    def __init__(self, ctx: Context, size: int, stack: ExitStack) -> None:
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
        console = Console(file=ctx.out, force_terminal=True)
        self._progress = Progress(
            *columns, console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        stack.enter_context(self._progress)
        self._task = self._progress.add_task("", total=size)

    def show(self, look: Look) -> None:
        """Draw the bar anew."""
        self._progress.update(self._task, completed=look.done, description=look.text(), refresh=True)


class Lines:
    """A line when something has changed, at most one a second, and one at the end."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._last = ("", float("-inf"))

    def show(self, look: Look) -> None:
        """Print the line if it says something new."""
        key, now = str(look.info.counts), time.monotonic()
        if key != self._last[0] and (look.over or now - self._last[1] >= LINE_S):
            self._last = key, now
            self._ctx.say(f"job {look.info.id}: {look.done} of {look.info.size}: {look.text()}")
            self._ctx.out.flush()


@command
def watch(argv: list[str], ctx: Context) -> int:
    """Follow a job until it is over; 0 when every node is ok."""
    parser = Parser(
        ctx,
        "serval watch",
        description="Follow a job until it is over. Ctrl-C ends the watching, not the job.",
        epilog="Exit status: 0 when every node is ok, 1 when not, 130 after Ctrl-C.",
    )
    parser.add_argument("job", metavar="ID", help="number of the job")
    options = parser.parse_args(argv)
    open_home(ctx.env)
    engine = open_database(ctx.env)
    with reading(engine) as connection:
        info = find_job(connection, options.job)
    ctx.say(f"job {info.id}: {printable(info.label)}")
    try:
        with ExitStack() as stack:
            display: Display = Bar(ctx, info.size, stack) if ctx.terminal else Lines(ctx)
            until_done(ctx, engine, info.id, display)
    except KeyboardInterrupt:
        ctx.complain(
            f"job {info.id} goes on. Watch it: serval watch {info.id}   Cancel it: serval cancel {info.id}"
        )
        return INTERRUPTED
    return verdict(ctx, engine, info.id)


def until_done(ctx: Context, engine: Engine, job: int, display: Display) -> None:
    """Show the job until it is over, and say once what it waits for."""
    began, first, told = time.monotonic(), None, False
    while True:
        look = patient_look(engine, job)
        first = look.done if first is None else first
        elapsed = time.monotonic() - began
        look = Look(look.info, look.members, (look.done - first) / elapsed if elapsed > 0 else 0.0)
        display.show(look)
        if look.over:
            return
        if not told and elapsed > ADOPTION_S and look.done == first:
            told = True
            for line in waits(engine, look.info):
                ctx.complain(line)
        time.sleep(LOOK_S)


def patient_look(engine: Engine, job: int) -> Look:
    """The job now; a short trouble of the database is waited out. Raises UnavailableError."""
    deadline = time.monotonic() + DATABASE_S
    while True:
        try:
            with reading(engine) as connection:
                info = jobs.info(connection, job)
                if info is not None:
                    return Look(info, history.done_by(connection, job))
        except UnavailableError as error:
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"{error.message}. Job {job} stays; watch it with: serval watch {job}"
                ) from error
            time.sleep(LOOK_S)
            continue
        raise UnavailableError(f"job {job} is not in the database any more")


def waits(engine: Engine, info: JobInfo) -> list[str]:
    """Sentences on why no node of the job has ended yet, as far as the database knows."""
    if info.supervisor is None:
        return [f"no management node worker has taken job {info.id}; start one with: serval up"]
    with reading(engine) as connection:
        older = jobs.blockers(connection, info.id)
        found = [(jobs.info(connection, number), count) for number, count in older.items()]
    return [
        f"{count} nodes wait for job {job.id} ({printable(job.label)}, asked by {printable(job.who)})"
        for job, count in found
        if job is not None
    ]


def verdict(ctx: Context, engine: Engine, job: int) -> int:
    """Name the nodes that are not ok; the exit status."""
    with reading(engine) as connection:
        results = jobs.results(connection, job)
    failed = [result for result in results if result.outcome != Outcome.OK]
    for line in folded(failed):
        ctx.complain(line)
    return 1 if failed else 0
