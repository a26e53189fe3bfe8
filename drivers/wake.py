"""A bell in Redis: whoever changed something rings, the supervisor looks at once instead of in 0.2 s.

Nothing is carried by it and nothing is lost when Redis is down: the database is looked at anyway.
"""

from collections.abc import Callable
from contextlib import suppress

from redis import Redis

from core.errors import UnavailableError
from drivers.redisclient import connect, speaking

BELL = "serval:wake"
#: More rings than this are worth no more than one.
MOST = 8


def ring(client: Redis) -> None:
    """Wake the supervisor. Raises UnavailableError when Redis does not answer."""
    with speaking(client), client.pipeline(transaction=False) as pipe:
        pipe.lpush(BELL, "1")
        pipe.ltrim(BELL, 0, MOST)
        pipe.execute()


def bell(url: str) -> Callable[[], None]:
    """Rings in the Redis at this URL; without Redis nothing happens, for the supervisor looks by itself."""
    client = connect(url)

    def pull() -> None:
        with suppress(UnavailableError):
            ring(client)

    return pull


def wait(client: Redis, seconds: float) -> bool:
    """Whether somebody rang within `seconds`, which must be less than the client's socket time-out."""
    with speaking(client):
        return client.blpop([BELL], timeout=seconds) is not None
