"""Running a command by its name: only its own module is imported, and errors become one sentence.

A ServalError is its message; anything else is a bug in Serval and keeps its traceback.
"""

import errno
import importlib
import os
import sys
from collections.abc import Callable, Collection
from functools import partial
from typing import NoReturn

from cli.context import Context, local
from cli.places import is_here
from core.errors import ServalError
from core.garbage import search_seldom
from db.home import open_home

Command = Callable[[list[str], Context], int]

#: Console script → module and function. Imported when called: a command must start in a blink.
COMMANDS = {
    "serval": ("cli.serval", "serval"),
    "rpower": ("cli.power", "rpower"),
    "rsetboot": ("cli.power", "rsetboot"),
    "nodeset": ("cli.nodeset", "nodeset"),
    "genimage": ("cli.genimage", "genimage"),
    "packimage": ("cli.genimage", "packimage"),
    "copycds": ("cli.copycds", "copycds"),
    "rmimage": ("cli.rmimage", "rmimage"),
    "imgexport": ("cli.imgexport", "imgexport"),
    "imgimport": ("cli.imgimport", "imgimport"),
    "imgcapture": ("cli.imgcapture", "imgcapture"),
    "liteimg": ("cli.liteimg", "liteimg"),
    "snmove": ("cli.snmove", "snmove"),
    "nodestat": ("cli.nodestat", "nodestat"),
    "mkdef": ("cli.definitions", "mkdef"),
    "chdef": ("cli.definitions", "chdef"),
    "lsdef": ("cli.definitions", "lsdef"),
    "rmdef": ("cli.definitions", "rmdef"),
    "tabdump": ("cli.tables", "tabdump"),
    "tabrestore": ("cli.tables", "tabrestore"),
    "nodels": ("cli.nodels", "nodels"),
    "chtab": ("cli.chtab", "chtab"),
    "gettab": ("cli.chtab", "gettab"),
    "tabgrep": ("cli.chtab", "tabgrep"),
    "tabprune": ("cli.tabprune", "tabprune"),
    "tabedit": ("cli.tabedit", "tabedit"),
    "nodech": ("cli.nodech", "nodech"),
    "nodegrpch": ("cli.nodech", "nodegrpch"),
    "nodeadd": ("cli.nodech", "nodeadd"),
    "noderm": ("cli.nodech", "noderm"),
    "dumpxCATdb": ("cli.dumps", "dumpxCATdb"),
    "restorexCATdb": ("cli.dumps", "restorexCATdb"),
    "lsxcatd": ("cli.lsxcatd", "lsxcatd"),
    "makehosts": ("cli.makehosts", "makehosts"),
    "nodepurge": ("cli.makehosts", "nodepurge"),
    "makentp": ("cli.services", "makentp"),
    "makeconservercf": ("cli.services", "makeconservercf"),
    "makenetworks": ("cli.makenetworks", "makenetworks"),
    "makedhcp": ("cli.makedhcp", "makedhcp"),
    "makedns": ("cli.makedns", "makedns"),
}
INTERRUPTED = 130
PIPE_CLOSED = 141
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
GOES_ON = "A job that has begun goes on: serval jobs"


def run(name: str, argv: list[str], context: Context) -> int:
    """The exit status of a command, run in this process: 0 when all is well, 1 for an error that was said."""
    return say_errors(lambda: load(name)(argv, context), context)


def load(name: str) -> Command:
    """The function of a command."""
    module, function = COMMANDS[name]
    command: Command = getattr(importlib.import_module(module), function)
    return command


def place(name: str, argv: list[str], context: Context) -> Command:
    """The function of a command; on a service node, of what writes, the one that asks the management node."""
    if is_here(name, argv) or open_home(context.env).server is None:
        return load(name)
    from cli.remote import ask  # ssl and the database, for those alone who need them

    return partial(ask, name)


def say_errors(act: Callable[[], int], context: Context) -> int:
    """The exit status of `act`; an error is said, and is 1."""
    try:
        return act()
    except ServalError as error:
        context.complain(f"Error: {error.message}")
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def execute(name: str, argv: list[str], context: Context) -> int:
    """Run a command to its end, output flushed; 141 when the reader of its output has gone (`| head`)."""
    search_seldom()
    try:
        status = say_errors(lambda: place(name, argv, context)(argv, context), context)
        context.out.flush()
        context.err.flush()
    except BrokenPipeError:
        close_output(context)
        return PIPE_CLOSED
    except OSError as error:
        # Files that commands open by name say which they are, and become sentences where they are opened.
        if error.filename is not None or error.errno not in FULL:
            raise
        close_output(context)
        context.complain(f"Error: the output cannot be written: {error.strerror}. {GOES_ON}")
        return 1
    return status


def close_output(context: Context) -> None:
    """Let nobody hear what is said from now on; Python would complain once more at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), context.out.fileno())


def main(name: str, request: str, *, again: bool = False, shown: Collection[str] = ()) -> NoReturn:
    """Run a command in the process that was started for it; the words after `request` are Context's."""
    context = local()
    context.request, context.again, context.shown = request, again, frozenset(shown)
    sys.exit(execute(name, sys.argv[1:], context))
