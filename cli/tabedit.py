"""tabedit: a table in the caller's editor (man page tabedit(8)). It runs in the caller's own process."""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from cli.arguments import Parser, command
from cli.context import Context
from core.errors import RequestError
from db.engine import Engine, one_writer, reading, writing
from db.schema import open_database
from db.tabio import dump, find_table, restore
from drivers.files import PRIVATE, write_whole

EDITOR = "vi"


@command
def tabedit(argv: list[str], ctx: Context) -> int:
    """Open a table in $TABEDITOR, $VISUAL, $EDITOR or vi, and store it when it was changed."""
    parser = Parser(
        ctx, "tabedit", description="Edit a table as CSV with $TABEDITOR, $VISUAL, $EDITOR or vi."
    )
    parser.add_version()
    parser.add_argument("table", metavar="TABLE")
    options = parser.parse_args(argv)
    name = options.table
    find_table(name)
    engine = open_database(ctx.env)
    before = _text(engine, name)
    folder = Path(tempfile.mkdtemp(prefix="tabedit."))
    file = folder / f"{name}.csv"
    write_whole(file, before, PRIVATE)
    _edit(file, ctx)
    after = file.read_text(encoding="utf-8", errors="surrogateescape")
    try:
        if after == before:
            ctx.say(f"No changes were made to table {name}.")
        else:
            _store(engine, name, before, after)
    except RequestError as error:
        raise RequestError(
            f"{error.message}\nThe table is as it was; your text is kept in {file}."
        ) from error
    file.unlink()
    folder.rmdir()
    return 0


def _text(engine: Engine, name: str) -> str:
    with reading(engine) as connection:
        return "\n".join(dump(connection, name)) + "\n"


def _edit(file: Path, ctx: Context) -> None:
    named = next((ctx.env[key] for key in ("TABEDITOR", "VISUAL", "EDITOR") if ctx.env.get(key)), EDITOR)
    try:
        words = shlex.split(named)
        done = subprocess.run([*words, os.fspath(file)], env=dict(ctx.env), check=False)
    except (OSError, ValueError) as error:
        raise RequestError(f"The editor '{named}' cannot be started: {error}. Set EDITOR.") from error
    if done.returncode != 0:
        raise RequestError(f"The editor ended with status {done.returncode}; the table is as it was.")


def _store(engine: Engine, name: str, before: str, after: str) -> None:
    """Replace the table in one transaction, unless somebody else has changed it since."""
    with writing(engine) as connection:
        one_writer(connection)
        if "\n".join(dump(connection, name)) + "\n" != before:
            raise RequestError(f"Table {name} was changed by somebody else while you were editing.")
        restore(connection, name, after, append=False)
