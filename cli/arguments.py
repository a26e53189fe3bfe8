"""argparse on a Context: help and complaints go to the caller's streams, and nothing ends the process."""

import argparse
from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn

from cli.context import Context
from core.errors import RequestError
from core.release import RELEASE

Command = Callable[[list[str], Context], int]


class Finished(Exception):
    """The parser has answered by itself (--help, --version); its argument is the exit status."""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser for one call of one command. Its `error` raises RequestError."""

    def __init__(self, ctx: Context, prog: str, **options: Any) -> None:
        self._ctx = ctx
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(prog=prog, allow_abbrev=False, **options)

    def _print_message(self, message: str, file: object = None) -> None:
        if message:
            self._ctx.out.write(message)

    def add_version(self) -> None:
        """Let -v print the release, as xCAT's commands do."""
        self.add_argument("-v", "--version", action=_Version, nargs=0, help="print the version and end")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Stop parsing, but not the process."""
        raise Finished(status)

    def error(self, message: str) -> NoReturn:
        """Refuse the command line, naming what is wrong and how it goes."""
        raise RequestError(f"{message}\n{self.format_usage().strip()}")


class _Version(argparse.Action):
    """Prints `lsdef - Version 1.2.3`."""

    def __call__(self, parser: argparse.ArgumentParser, *_given: object) -> None:
        parser._print_message(f"{parser.prog} - Version {RELEASE}\n")
        parser.exit()


def command(function: Command) -> Command:
    """Make a function that uses Parser a whole command: --help answers status 0 and ends nothing."""

    @wraps(function)
    def run(argv: list[str], ctx: Context) -> int:
        try:
            return function(argv, ctx)
        except Finished as finished:
            return int(finished.args[0])

    return run
