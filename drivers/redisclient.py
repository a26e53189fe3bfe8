"""A redis-py client that fails fast, and one translation of everything it may raise.

redis-py 8 repeats a failed command about ten times by itself, which turned a cut cable into half a minute
of waiting. Here nothing is repeated: whoever asks again does so in its own loop, on its own clock. Error
texts name host and port only, because a Redis URL holds the password.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import TimeoutError as RedisTimeout
from redis.retry import Retry

from core.errors import RequestError, UnavailableError

#: A frozen Redis costs a caller this many seconds, once for each call.
SOCKET_TIMEOUT_S = 0.8


def connect(url: str, *, socket_timeout: float = SOCKET_TIMEOUT_S) -> Redis:
    """A client for the Redis at `url`, not yet connected; it answers in text and repeats nothing.

    `socket_timeout` is in seconds, for the connection and for each reply. Raises RequestError on a bad URL.
    """
    try:
        client = Redis.from_url(
            url,
            decode_responses=True,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=socket_timeout,
            socket_connect_timeout=socket_timeout,
        )
    except ValueError:
        # The library's own text may quote a part of the password.
        raise RequestError("the broker is not a Redis URL such as redis://:password@host:6379/0") from None
    return client


def place(url: str) -> str:
    """`host:port` (or the socket's path) of a Redis URL, without its password."""
    try:
        parts = urlsplit(url)
        port = parts.port or 6379
    except ValueError:
        return "an unreadable address"
    return parts.path if parts.scheme == "unix" else f"{parts.hostname or 'localhost'}:{port}"


def place_of(client: Redis) -> str:
    """`host:port` (or the socket's path) that `client` talks to."""
    known = client.connection_pool.connection_kwargs
    return str(known["path"]) if "path" in known else f"{known.get('host')}:{known.get('port', 6379)}"


@contextmanager
def speaking(client: Redis) -> Iterator[None]:
    """Turn whatever the client raises inside the block into UnavailableError, naming the server."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise UnavailableError(f"Redis at {place_of(client)} {complaint(error)}") from error


def complaint(error: Exception) -> str:
    """What is wrong with the Redis that raised `error`, as the end of a sentence."""
    match error:
        case RedisTimeout() | TimeoutError():
            return "does not answer in time: is it frozen or cut off?"
        case AuthenticationError():
            return "refuses the password: check `broker` in serval.toml"
        case _:
            return f"cannot be used ({error}). Is it running? `serval up` starts an embedded one"


def ping(url: str, timeout: float = SOCKET_TIMEOUT_S) -> None:
    """Return when the Redis at `url` answers within `timeout` seconds; raise UnavailableError when not."""
    with connect(url, socket_timeout=timeout) as client, speaking(client):
        client.ping()
