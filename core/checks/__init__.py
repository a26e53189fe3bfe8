"""What `serval check` knows of a healthy cluster: each check is a function from a Cluster to its findings."""

from collections.abc import Callable, Iterator

from core.checks import members, naming, networks, nodes, pools
from core.checks.cluster import Cluster, Finding, Level, Member

Check = Callable[[Cluster], Iterator[Finding]]
#: In the order in which they are printed.
CHECKS: tuple[Check, ...] = (
    *nodes.CHECKS,
    *pools.CHECKS,
    *networks.CHECKS,
    *naming.CHECKS,
    *members.CHECKS,
)


def findings(cluster: Cluster) -> Iterator[tuple[str, Finding]]:
    """Everything that is to be mended, each with the name of its check."""
    for check in CHECKS:
        for found in check(cluster):
            yield check.__name__, found


__all__ = ["CHECKS", "Cluster", "Finding", "Level", "Member", "findings"]
