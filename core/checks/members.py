"""Findings about the hosts that do the work, from their leases: life, release, clock (PROTOCOL 8 and 21).

A lease tells the wall clock of its last beat, which may be half a second old; smaller differences than
CLOCK_S say nothing.
"""

from collections.abc import Iterator

from core.checks.cluster import Cluster, Finding, Level, gathered, word
from core.fold import fold

#: Seconds that two clocks may differ: logs stay readable, and certificates are judged alike.
CLOCK_S = 5.0


def leases_can_be_read(cluster: Cluster) -> Iterator[Finding]:
    """Redis is missing: nothing is known of the service nodes, and no job runs."""
    if cluster.no_leases:
        sentence = f"service nodes, their releases and their clocks were not checked: {cluster.no_leases}"
        yield Finding(Level.ERROR, "Redis", sentence, "serval up")


def members_are_live(cluster: Cluster) -> Iterator[Finding]:
    """A management or service node that cannot be given work."""
    pairs = (
        ((name == cluster.mn, member.reason.removeprefix(f"{name} ")), name)
        for name, member in cluster.members.items()
        if not member.live
    )
    for (own, reason), names in gathered(pairs):
        yield Finding(Level.ERROR, names, reason, "serval up" if own else f"serval worker  # on {names}")


def members_are_drained(cluster: Cluster) -> Iterator[Finding]:
    """A member that was taken out of service and may have been forgotten."""
    for name, member in cluster.members.items():
        if member.drained:
            sentence = f"{member.drained}; it gets no new work"
            yield Finding(Level.WARNING, name, sentence, f"serval sn undrain {word(name)}")


def members_have_joined(cluster: Cluster) -> Iterator[Finding]:
    """A live service node without a public key: credentials cannot be sealed for it."""
    lost = fold(name for name, member in cluster.members.items() if member.live and not member.joined)
    if lost:
        sentence = "has not joined, its public key is not in the database: it gets no work"
        yield Finding(Level.ERROR, lost, sentence, f"serval worker  # on {lost}, started again")


def releases_are_the_same(cluster: Cluster) -> Iterator[Finding]:
    """A service node of another release than the management node."""
    pairs = ((member.release, name) for name, member in cluster.members.items())
    for release, names in gathered(pair for pair in pairs if pair[0] not in ("", cluster.release)):
        sentence = f"Serval {release} runs there, and {cluster.release} on this management node"
        yield Finding(Level.WARNING, names, sentence, f"install Serval {cluster.release} on {names}")


def clocks_agree(cluster: Cluster) -> Iterator[Finding]:
    """A service node whose clock differs from this host's."""
    for name, member in cluster.members.items():
        if member.live and member.ahead is not None and abs(member.ahead) > CLOCK_S:
            way = "ahead of" if member.ahead > 0 else "behind"
            sentence = f"its clock is {abs(member.ahead):.0f} s {way} this management node's"
            yield Finding(Level.WARNING, name, sentence, f"ssh {word(name)} chronyc makestep")


CHECKS = (
    leases_can_be_read,
    members_are_live,
    members_are_drained,
    members_have_joined,
    releases_are_the_same,
    clocks_agree,
)
