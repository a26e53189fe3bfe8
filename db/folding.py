"""Jobs that find all as it was asked for are folded: nodes have no rows before they end (docs/adr/0013).

A nodeset of ten thousand nodes that changes nothing would write ten thousand rows, and all of them again a
moment later. Such a job has its nodes in its spec, by pool, and gets their rows in the transaction that ends
them. It changes nothing that others would have to wait for, so nobody misses its tickets. When it does not
end at once it is unfolded, and is a job as any other. Whoever does either holds the job's row.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, exists, select

from core import syncspec
from core.fold import fold, unfold
from core.states import NodeState, Outcome
from db.bulk import bulk_insert
from db.jobtables import job, job_node
from db.supervision import FOLDED, FreeNode

#: Pool, what is printed, and the nodes folded.
Group = tuple[str, str, str]
#: With more groups than this a job is not folded.
MOST_GROUPS = 32


def groups_of(pools: Mapping[str, str], texts: Mapping[str, str]) -> tuple[Group, ...]:
    """The nodes of a job by pool and text; none when they differ too much to be folded."""
    found: dict[tuple[str, str], list[str]] = {}
    for node, pool in pools.items():
        found.setdefault((pool, texts.get(node, "")), []).append(node)
        if len(found) > MOST_GROUPS:
            return ()
    return tuple((pool, text, fold(nodes)) for (pool, text), nodes in found.items())


def nodes_of(connection: Connection, job_id: int) -> list[FreeNode]:
    """The nodes of a folded job, as its supervisor sees those of others; none of a job that is not folded."""
    groups, _ = _folded(connection, job_id)
    return [
        FreeNode(job_id, node, NodeState.WAITING, pool, "", 0, None, text or None, None, None)
        for pool, text, nodes in groups
        for node in _unfolded(nodes)
    ]


def unfold_job(connection: Connection, job_id: int) -> None:
    """Give its waiting nodes their rows, if it is folded. The caller's transaction holds the job's row."""
    groups, shared = _folded(connection, job_id)
    for pool, text, nodes in groups:
        own = {"state": NodeState.WAITING, "pool": pool, "text": text or None}
        bulk_insert(connection, job_node, _rows(_unfolded(nodes)), shared=shared | own)


def end_folded(
    connection: Connection, job_id: int, ready: Mapping[tuple[str, str], Sequence[str]], now: float
) -> bool:
    """Give all its nodes their rows, ok; False when it is not folded, or these are not all of them.

    `ready` are the nodes by the service node that is ready for them and what it says. The caller's
    transaction holds the job's row.
    """
    groups, shared = _folded(connection, job_id)
    of = {node: key for key, nodes in ready.items() for node in nodes}
    rows: dict[tuple[str, str, str], list[str]] = {}
    for pool, text, folded in groups:
        for node in _unfolded(folded):
            if node not in of:
                return False
            sn, said = of[node]
            rows.setdefault((pool, sn, said or text), []).append(node)
    for (pool, sn, text), nodes in rows.items():
        own = {"state": NodeState.DONE, "outcome": Outcome.OK, "ended": now, "pool": pool, "sn": sn}
        bulk_insert(connection, job_node, _rows(nodes), shared=shared | own | {"text": text or None})
    return bool(groups)


def _folded(connection: Connection, job_id: int) -> tuple[tuple[Group, ...], dict[str, Any]]:
    """The nodes of a folded job, and what their rows have in common; no nodes when it is not folded."""
    rows = select(job_node.c.node).where(job_node.c.job_id == job_id)
    found = connection.execute(
        select(job.c.spec, job.c.changing).where(job.c.id == job_id, job.c.spec.like(FOLDED), ~exists(rows))
    ).one_or_none()
    if found is None:
        return (), {}
    spec = syncspec.from_text(found.spec)
    shared = {"job_id": job_id, "changing": found.changing, "binds": 0, "tried": ""}
    return spec.folded if spec else (), shared


def _rows(nodes: Sequence[str]) -> list[dict[str, str]]:
    return [{"node": node} for node in nodes]


@lru_cache(maxsize=MOST_GROUPS)
def _unfolded(text: str) -> tuple[str, ...]:
    """Asked for when a job is taken and when it ends; ten thousand names take 10 ms."""
    return tuple(unfold(text))
