"""The console scripts: each imports only its own command, runs it, and turns errors into one sentence.

A ServalError is its message; anything else is a bug in Serval and keeps its traceback.
"""

import importlib
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from cli.context import Context, local
from core.errors import ServalError

Command = Callable[[list[str], Context], int]

#: Console script → module and function. Imported when called: a command must start in a blink.
COMMANDS = {
    "serval": ("cli.serval", "serval"),
    "rpower": ("cli.power", "rpower"),
    "rsetboot": ("cli.power", "rsetboot"),
    "mkdef": ("cli.definitions", "mkdef"),
    "chdef": ("cli.definitions", "chdef"),
    "lsdef": ("cli.definitions", "lsdef"),
    "rmdef": ("cli.definitions", "rmdef"),
    "tabdump": ("cli.tables", "tabdump"),
    "tabrestore": ("cli.tables", "tabrestore"),
    "nodels": ("cli.nodels", "nodels"),
}
INTERRUPTED = 130
PIPE_CLOSED = 141


def run(name: str, argv: list[str], context: Context) -> int:
    """The exit status of a command: 0 when all is well, 1 for an error that was said."""
    module, function = COMMANDS[name]
    command: Command = getattr(importlib.import_module(module), function)
    try:
        return command(argv, context)
    except ServalError as error:
        context.complain(f"Error: {error.message}")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def main(name: str) -> NoReturn:
    """Run a command for the shell that called it."""
    context = local()
    try:
        status = run(name, sys.argv[1:], context)
        context.out.flush()
    except BrokenPipeError:
        # The reader has gone (`| head`); Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = PIPE_CLOSED
    sys.exit(status)


def serval() -> NoReturn:
    """The `serval` script."""
    main("serval")


def rpower() -> NoReturn:
    """The `rpower` script."""
    main("rpower")


def rsetboot() -> NoReturn:
    """The `rsetboot` script."""
    main("rsetboot")


def mkdef() -> NoReturn:
    """The `mkdef` script."""
    main("mkdef")


def chdef() -> NoReturn:
    """The `chdef` script."""
    main("chdef")


def lsdef() -> NoReturn:
    """The `lsdef` script."""
    main("lsdef")


def rmdef() -> NoReturn:
    """The `rmdef` script."""
    main("rmdef")


def tabdump() -> NoReturn:
    """The `tabdump` script."""
    main("tabdump")


def tabrestore() -> NoReturn:
    """The `tabrestore` script."""
    main("tabrestore")


def nodels() -> NoReturn:
    """The `nodels` script."""
    main("nodels")
