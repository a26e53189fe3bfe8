"""`serval db`: making, moving, checking and saving the database of an instance."""

from collections.abc import Callable
from pathlib import Path

from cli.arguments import Parser, command
from cli.context import Context
from cli.granting import grant
from core.errors import RequestError
from db import schema, transfer
from db.engine import Engine, has_password, open_engine, reading, where
from db.home import open_home
from drivers.files import make_folder

STOPPED = "Let nothing of Serval run meanwhile: 'serval down' on the management node and the service nodes."
VERBS = {
    "init": "make the database and its tables",
    "upgrade": "bring its tables up to date",
    "check": "whether it answers, is whole and up to date; what it holds",
    "migrate": "copy all of it into another database, and compare",
    "backup": "copy all of it into a file",
    "restore": "fill the empty database from such a file",
    "grant": "make a service node's own role, with what it needs and no password",
}


@command
def database(argv: list[str], ctx: Context) -> int:
    """Run one verb."""
    listed = "\n".join(f"  {name:<8} {text}" for name, text in VERBS.items())
    parser = Parser(ctx, "serval db", description=f"The database of this instance.\n\n{listed}\n\n{STOPPED}")
    parser.add_argument("verb", choices=VERBS, metavar="VERB")
    parser.add_argument("file", nargs="?", metavar="FILE|SN", help="of backup and restore; of grant")
    parser.add_argument(
        "--to",
        metavar="URL",
        help="of migrate: sqlite:////FILE, postgresql://USER@HOST/NAME, or - for standard input",
    )
    parser.add_argument(
        "--password-file", metavar="FILE", help="of grant: write the URL there (mode 0600), do not print it"
    )
    parser.add_argument("--replace", action="store_true", help="with restore: what is there is lost")
    options = parser.parse_intermixed_args(argv)
    if (options.verb in ("backup", "restore", "grant")) != (options.file is not None):
        parser.error("backup and restore take a FILE, grant takes the name of a service node, others nothing")
    if (options.verb == "migrate") != (options.to is not None):
        parser.error("migrate, and only that, takes --to URL")
    own = open_engine(open_home(ctx.env).database)
    verbs: dict[str, Callable[[], int]] = {
        "init": lambda: make(own, ctx),
        "upgrade": lambda: make(own, ctx),
        "check": lambda: check(own, ctx),
        "migrate": lambda: migrate(own, target_url(options.to, ctx), ctx),
        "backup": lambda: backup(own, ctx.cwd / options.file, ctx),
        "restore": lambda: restore(own, ctx.cwd / options.file, options.replace, ctx),
        "grant": lambda: grant(own, options.file, options.password_file, ctx),
    }
    return verbs[options.verb]()


def make(engine: Engine, ctx: Context) -> int:
    """Make the tables, or bring them up to date."""
    with reading(engine) as connection:
        before = schema.revision(connection)
    schema.upgrade(engine)
    with reading(engine) as connection:
        after = schema.revision(connection)
    done = "is up to date" if after == before else f"was brought from {before or 'nothing'} to {after}"
    ctx.say(f"{where(engine)} {done} (revision {after}).")
    return 0


def check(engine: Engine, ctx: Context) -> int:
    """Look at the database; status 1 when something is wrong."""
    with reading(engine) as connection:
        found = schema.revision(connection)
    if found < schema.HEAD:
        ctx.complain(
            f"Error: {where(engine)} is at revision {found or 'nothing'}; this Serval needs {schema.HEAD}: "
            "serval db upgrade"
        )
        return 1
    with reading(engine) as connection:
        faults = schema.faults(connection)
        tables = {} if faults else transfer.tables_in_use()
        sums = {name: transfer.table_sum(connection, table) for name, table in tables.items()}
    ctx.say(f"{where(engine)}, revision {found}")
    _say_sums(sums, ctx)
    for fault in faults:
        ctx.complain(f"Error: {fault}")
    if not faults:
        ctx.say("No fault was found.")
    return 1 if faults else 0


def target_url(text: str, ctx: Context) -> str:
    """The URL to migrate to. Raises RequestError for one with a password where everybody can read it."""
    if text == "-":
        return ctx.stdin.readline().strip()
    if has_password(text):
        raise RequestError(
            "The URL holds a password, and every user of this host can read the words of a command. Give the "
            "URL on standard input (--to -), or keep the password in ~/.pgpass."
        )
    return text


def migrate(own: Engine, url: str, ctx: Context) -> int:
    """Copy into another database and say what comes next."""
    target = open_engine(url)
    _say_sums(transfer.copy(own, target), ctx)
    ctx.say(f"{where(target)} holds the same as {where(own)}, which is untouched.")
    ctx.say(
        "Next: stop Serval if it runs (what it writes now stays behind), set `database` in serval.toml of\n"
        "the management node and every service node to the new URL, and start it: serval down; serval up"
    )
    return 0


def backup(own: Engine, file: Path, ctx: Context) -> int:
    """Copy into a new file, which appears when it is complete."""
    if file.exists():
        raise RequestError(f"{file} exists.")
    make_folder(file.parent)
    part = file.with_name(f".{file.name}.part")
    part.unlink(missing_ok=True)
    target = open_engine(f"sqlite:///{part}")
    try:
        _say_sums(transfer.copy(own, target), ctx)
        target.dispose()
        part.rename(file)
    finally:
        target.dispose()
        for left in (part, *(part.with_name(part.name + end) for end in ("-wal", "-shm"))):
            left.unlink(missing_ok=True)
    ctx.say(f"{where(own)} is saved in {file}.")
    return 0


def restore(own: Engine, file: Path, replace: bool, ctx: Context) -> int:
    """Copy a file of backup into the database."""
    if not file.is_file():
        raise RequestError(f"There is no file {file}.")
    source = open_engine(f"sqlite:///{file}")
    try:
        _say_sums(transfer.copy(source, own, replace), ctx)
    finally:
        source.dispose()
    ctx.say(f"{where(own)} holds what was saved in {file}.")
    return 0


def _say_sums(sums: dict[str, transfer.Sum], ctx: Context) -> None:
    for name, one in sums.items():
        if one.rows:
            ctx.say(f"  {name:<14} {one.rows:>9,} rows  sha256 {one.checksum[:16]}")
