"""`serval flower`: Celery's web page on this cluster, with a password, read-only, on loopback.

It becomes Flower's process. Password and settings are in a file that only its owner may read, and the way to
Redis is read from SERVAL_HOME, so that neither shows in the process list. Nothing depends on Flower.
"""

import argparse
import os
import secrets
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from cli.arguments import Parser, command
from cli.cluster import write_private
from cli.context import Context
from cli.power import broker
from core.errors import RequestError
from db.home import Home, open_home
from drivers import leases

PORT = 5555
#: Tasks that Flower keeps in memory; jobs themselves are in the database.
MAX_TASKS = 10_000
COLUMNS = "name,args,state,result,kwargs,worker,received,runtime"
#: Workers that left are forgotten after so many seconds.
FORGET_S = 3600
LOOPBACK = ("127.", "::1", "localhost")
CHECKOUT = Path(__file__).resolve().parent.parent


@command
def flower(argv: list[str], ctx: Context) -> int:
    """Become Flower; returns only when it cannot start."""
    options = parser(ctx).parse_args(argv)
    home = open_home(ctx.env)
    leases.read(leases.connect(broker(home)))
    check_port(options.address, options.port)
    file = options.password_file or home.keys / "flower-password"
    login = f"{options.user}:{password(file, make=options.password_file is None)}"
    config = home.run / f"flower-{options.port}.py"
    write_private(config, settings(options, login))
    ctx.say(
        f"Flower: http://{options.address}:{options.port}/tasks   user {options.user}, password in {file}"
    )
    if not options.address.startswith(LOOPBACK):
        ctx.complain("the password travels in clear text: put a reverse proxy with TLS in front of Flower")
    ctx.out.flush()
    os.chdir(CHECKOUT)
    words = [sys.executable, "-m", "celery", "-A", "tasks", "flower", f"--conf={config}"]
    os.execve(sys.executable, words, environment(ctx.env, home))


def parser(ctx: Context) -> Parser:
    """The options of serval flower."""
    made = Parser(
        ctx,
        "serval flower",
        description="Serve Celery's web page: every job a line with its progress, its attempts beside it.",
        epilog="The password is made at the first start and kept in SERVAL_HOME/keys/flower-password.",
    )
    made.add_argument("--port", type=port, default=PORT, help=f"default {PORT}")
    made.add_argument("--address", default="127.0.0.1", help="where to listen (default: loopback alone)")
    made.add_argument("--user", type=user, default="serval", help="who may log in (default: serval)")
    made.add_argument("--password-file", type=Path, metavar="FILE", help="take the password from this file")
    made.add_argument("--max-tasks", type=whole, default=MAX_TASKS, help=f"in memory, default {MAX_TASKS}")
    made.add_argument("--control", action="store_true", help="let Flower stop workers and send tasks too")
    return made


def whole(text: str) -> int:
    """How many tasks are kept."""
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number above 0")
    return int(text)


def port(text: str) -> int:
    """A TCP port."""
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"'{text}' is not a port from 1 to 65535")
    return int(text)


def user(text: str) -> str:
    """A name for the login."""
    if not text.isascii() or not text.isprintable() or ":" in text or " " in text or not text:
        raise argparse.ArgumentTypeError(f"'{text}' cannot be a user name")
    return text


def check_port(address: str, number: int) -> None:
    """Raises RequestError, naming the port, when nobody could listen on it."""
    try:
        family, kind, _, _, place = socket.getaddrinfo(address, number, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        raise RequestError(
            f"Flower cannot listen on port {number} of {address}: {error.strerror}. "
            "Choose another with --port"
        ) from error


def password(file: Path, *, make: bool) -> str:
    """The password in a file, made at the first start. Raises RequestError when it cannot be used."""
    try:
        if make and not file.exists():
            write_private(file, secrets.token_urlsafe(18) + "\n")
        found = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"the password file {file} cannot be read: {error}") from error
    if not found or not found.isascii() or not found.isprintable() or " " in found:
        raise RequestError(f"the password in {file} must be one word of ASCII letters, digits and signs")
    return found


def settings(options: argparse.Namespace, login: str) -> str:
    """Flower's configuration file."""
    values = {
        "basic_auth": [login],
        "address": options.address,
        "port": options.port,
        "max_tasks": options.max_tasks,
        "tasks_columns": COLUMNS,
        "read_only": not options.control,
        "purge_offline_workers": FORGET_S,
        "persistent": False,
    }
    return "".join(f"{name} = {value!r}\n" for name, value in values.items())


def environment(env: Mapping[str, str], home: Home) -> dict[str, str]:
    """The caller's, without settings for Flower that would weaken ours."""
    kept = {name: value for name, value in env.items() if not name.startswith("FLOWER_")}
    return kept | {"SERVAL_HOME": str(home.path), "SERVAL_NAME": home.name}
