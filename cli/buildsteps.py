"""Following a build: its steps as they come and what became of it; `serval log`, all that it wrote."""

import argparse
from collections.abc import Iterator

from cli.arguments import Parser, command
from cli.context import Context
from cli.follow import Follower, Options
from cli.jobs import find_job
from cli.objects import printable
from core.errors import RequestError
from db import events
from db.engine import Engine, reading
from db.home import open_home
from db.jobs import JobInfo, NodeResult
from db.schema import open_database
from routing.imaging import STEP, build_log


class StepFollower(Follower):
    """Prints the steps of a job before its results."""

    _shown = 0

    def _read(self) -> tuple[JobInfo, list[NodeResult]]:
        found = Follower._read(self)
        if not self.options.as_json:
            for line in self._fresh_steps():
                self.context.say(line)
                self.context.out.flush()
        return found

    def _fresh_steps(self) -> Iterator[str]:
        with reading(self.engine) as connection:
            steps = [one.message for one in events.of_job(connection, self.job) if one.kind == STEP]
        yield from map(printable, steps[self._shown :])
        self._shown = len(steps)


def follow_steps(ctx: Context, engine: Engine, job: int, options: argparse.Namespace) -> int:
    """Follow the job to its end, or only print its number; 0 when it went well."""
    if options.no_wait or not options.json:
        ctx.say(f"job {job}")
        ctx.out.flush()
    if options.no_wait:
        return 0
    return StepFollower(ctx, engine, job, Options(options.verbose, options.json)).follow()


@command
def log(argv: list[str], ctx: Context) -> int:
    """Print the full log of a build or packing."""
    parser = Parser(
        ctx, "serval log", description="Print all that a build has written: genimage, packimage, copycds …"
    )
    parser.add_argument("job", metavar="ID", help="number of the job")
    options = parser.parse_args(argv)
    home = open_home(ctx.env)
    with reading(open_database(ctx.env)) as connection:
        info = find_job(connection, options.job)
    try:
        with build_log(home, info.id).open(encoding="utf-8", errors="replace") as file:
            for line in file:
                ctx.say(printable(line.rstrip("\n")))
    except FileNotFoundError as error:
        raise RequestError(f"job {info.id} ({printable(info.label)}) has no log") from error
    return 0
