"""A command on a service node that belongs to the management node: reaching that (docs/adr/0011)."""

import select
import time
from contextlib import suppress

from cli.client import JOBS, die_by
from cli.context import Context
from cli.exchange import Exchange
from cli.link import Link
from cli.places import refuse_mn_alone
from cli.wire import ConversationLost
from core.errors import UnavailableError
from db import members
from db.engine import open_engine, reading
from db.home import Home, open_home
from drivers import tls
from drivers.certificate import certificate_file, make_certificate

WELCOME_S = 10.0
LOOK_S = 0.5
#: How long a management node that was lost may take to come back, seconds: `serval down` and `serval up`.
COME_BACK_S = 30.0


def ask(name: str, argv: list[str], ctx: Context) -> int:
    """Let the management node run a command; its exit status. Raises ServalError when it cannot be asked."""
    refuse_mn_alone(name, argv)
    home = open_home(ctx.env)
    return insist(Exchange(name, argv, ctx), home)


def insist(exchange: Exchange, home: Home) -> int:
    """Ask until there is an answer; what is a job is asked again when the connection was lost."""
    deadline = 0.0
    while True:
        try:
            return exchange.hold(connect(home))
        except ConversationLost:
            if exchange.ending:
                die_by(exchange.ending)
            if exchange.begun and exchange.kind not in JOBS:
                raise UnavailableError(
                    f"{home.mn} was lost in the middle of '{exchange.kind}', so nobody knows whether it was "
                    "carried out. Look, and give the command again if it was not"
                ) from None
        except UnavailableError:
            if not deadline:
                raise
        deadline = deadline or time.monotonic() + COME_BACK_S
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"{home.mn} at {home.server} was lost and does not come back. A job that it had begun goes "
                "on: serval jobs"
            )
        time.sleep(LOOK_S)


def connect(home: Home) -> Link:
    """A connection on which the management node said welcome. Raises UnavailableError, saying what to do."""
    host, _, port = (home.server or "").rpartition(":")
    make_certificate(home.keys, home.name)
    engine = open_engine(home.database)
    with reading(engine) as connection:
        expected = members.certificates(connection).get(home.mn)
    engine.dispose()
    if expected is None:
        raise UnavailableError(
            f"{home.mn} has shown no certificate yet. Nothing was done. Is `mn` in serval.toml its name, and "
            "has its worker been started since the last upgrade?"
        )
    try:
        at = Link(tls.connect(host.strip("[]"), int(port), certificate_file(home.keys, home.name), expected))
    except tls.Stranger:
        raise UnavailableError(
            f"whoever answers at {home.server} is not {home.mn}: it shows another certificate than the one "
            f"in the member table. Nothing was done. If the home of {home.mn} was made anew, run there: "
            f"serval sn forget {home.mn}, then: serval down; serval up"
        ) from None
    except UnavailableError as error:
        raise UnavailableError(
            f"the command server of {home.mn} at {home.server} cannot be asked: {error.message}. Nothing was "
            f"done. On {home.mn}: is `listen` set in serval.toml, does `serval status` show the command "
            "server, and what does log/server.log say?"
        ) from None
    wait_for_welcome(at, home)
    return at


def wait_for_welcome(at: Link, home: Home) -> None:
    """Return when the other side has accepted our certificate. Raises UnavailableError when it has not."""
    deadline = time.monotonic() + WELCOME_S
    with suppress(ConversationLost):
        while select.select([at], [], [], max(0.0, deadline - time.monotonic()))[0]:
            if frames := at.take():
                if frames[0][0] == "welcome":
                    return
                break
    at.close()
    raise UnavailableError(
        f"{home.mn} at {home.server} does not know the certificate of {home.name}. Nothing was done. Start "
        f"the worker of {home.name}; if its home was made anew, run before that on {home.mn}: "
        f"serval sn forget {home.name}"
    )
