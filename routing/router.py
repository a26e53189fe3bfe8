"""The Celery router: the queue of the first live service node of a pool (settings: `task_routes`).

Attempts name their queue themselves. A task that only names a node is routed here by that node's pool.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from core.errors import UnavailableError
from db import drains
from db.engine import Engine, open_engine, reading
from db.home import Home, open_home
from drivers.leases import ages, connect, read_all
from routing.liveness import LIFE_S, answers
from routing.pools import pools_of

#: Where jobs themselves wait for the management node.
JOBS = "jobs"


def route(
    name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: Mapping[str, Any], **_: Any
) -> dict[str, str] | None:
    """Celery's question where a task goes; None leaves it to Celery's default."""
    if options.get("queue"):
        return None
    if sn := kwargs.get("sn"):
        return {"queue": str(sn)}
    if node := kwargs.get("node"):
        return {"queue": first_live(queues_for(str(node)))}
    return None


def queues_for(node: str) -> list[str]:
    """The queues that may act for a node, best first: `['sn1', 'sn2']`.

    Raises UnavailableError when none of its pool is a service node.
    """
    home, engine = _here()
    with reading(engine) as connection:
        found = pools_of(connection, [node], home.mn)
    if node in found.hopeless:
        raise UnavailableError(f"{node}: {found.hopeless[node][1]}")
    return found.of[node].split(",")


def first_live(queues: Sequence[str]) -> str:
    """The queue of the first of these service nodes that has beaten within a life and is not drained.

    Raises UnavailableError when none has. The supervisor does not ask here: it watches (routing/liveness.py).
    """
    home, engine = _here()
    with reading(engine) as connection:
        drained = drains.drained(connection)
    with connect(home.broker_url() or "") as client:
        leases = read_all(client)
        young = {name for name, age in ages(client, list(leases)).items() if age < LIFE_S}
    for queue in queues:
        for name in sorted(young):
            if answers(leases[name], queue) and not any(answers(leases[name], one) for one in drained):
                return name
    raise UnavailableError(f"no service node of {','.join(queues)} gives a sign of life; see: serval sn")


@cache
def _here() -> tuple[Home, Engine]:
    home = open_home()
    return home, open_engine(home.database)
