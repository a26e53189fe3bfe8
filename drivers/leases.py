"""Leases in Redis: writing one's own and reading all of them (PROTOCOL rules 8 and 21), without judgement.

`serval:lease:NAME` is the lease as JSON, `serval:leases` the set of names that have one, `serval:era` a
random word that vanishes when Redis is emptied. Expiry only cleans up: who is alive is judged in
`routing/liveness.py` by the beats that were seen.
"""

import logging
import secrets
from collections.abc import Sequence
from typing import Any

from redis import Redis

from core.errors import DefinitionError
from core.lease import Lease, Reading, from_text, to_text
from drivers.redisclient import connect as connect
from drivers.redisclient import speaking

log = logging.getLogger(__name__)

#: Long enough for `serval sn` to name an SN that died a moment ago.
CLEAN_UP_S = 30
NAMES = "serval:leases"
ERA = "serval:era"


def key(name: str) -> str:
    """The Redis key of one lease."""
    return f"serval:lease:{name}"


def publish(client: Redis, lease: Lease) -> None:
    """Write one beat. Raises UnavailableError when Redis does not take it."""
    with speaking(client), client.pipeline(transaction=False) as pipe:
        pipe.set(key(lease.name), to_text(lease), ex=CLEAN_UP_S)
        pipe.sadd(NAMES, lease.name)
        pipe.execute()


def withdraw(client: Redis, name: str) -> None:
    """Take a lease back, at an orderly stop. Raises UnavailableError when Redis does not answer."""
    with speaking(client), client.pipeline(transaction=False) as pipe:
        pipe.delete(key(name))
        pipe.srem(NAMES, name)
        pipe.execute()


def read(client: Redis) -> Reading:
    """All leases of this moment with the era of Redis; unreadable ones are logged and left out.

    Raises UnavailableError when Redis does not answer.
    """
    with speaking(client):
        with client.pipeline(transaction=False) as pipe:
            pipe.set(ERA, secrets.token_hex(8), nx=True)
            pipe.get(ERA)
            pipe.info("server")
            pipe.smembers(NAMES)
            _, marker, server, members = pipe.execute()
        names = sorted(members)
        texts = client.mget([key(name) for name in names]) if names else []
        forget(client, [name for name, text in zip(names, texts, strict=True) if text is None])
    return Reading(era=f"{server['run_id']}:{marker}", leases=parse(names, texts))


def read_all(client: Redis) -> dict[str, Lease]:
    """All leases of this moment by name. Raises UnavailableError when Redis does not answer."""
    return dict(read(client).leases)


def ages(client: Redis, names: Sequence[str]) -> dict[str, float]:
    """Seconds since the last beat of each of these names that has a lease, on Redis's own clock.

    For whoever has no time to watch the beats. Raises UnavailableError when Redis does not answer.
    """
    with speaking(client), client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.pttl(key(name))
        left = pipe.execute()
    return {name: CLEAN_UP_S - ms / 1000 for name, ms in zip(names, left, strict=True) if ms >= 0}


def forget(client: Redis, names: list[str]) -> None:
    """Drop names whose lease has expired; one that comes back enters itself again with its next beat."""
    if names:
        client.srem(NAMES, *names)


def parse(names: list[str], texts: Any) -> dict[str, Lease]:
    """The readable ones among the leases."""
    leases = {}
    for name, text in zip(names, texts, strict=True):
        if text is None:
            continue
        try:
            leases[name] = from_text(name, text)
        except DefinitionError as error:
            log.warning("%s", error.message)
    return leases
