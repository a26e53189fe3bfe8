"""Service nodes that were away get what they missed, without being asked (DESIGN section 6).

Whoever comes back with older files than the tables want gets a job of its own: the same attempt in its queue
as any nodeset, seen in Flower and in `serval jobs`.
"""

import logging

from core import syncspec
from core.errors import RequestError
from core.syncspec import Mode
from core.wanted import Kind
from db import jobs, wanted
from db.engine import one_writer, reading, writing
from db.supervision import JobRow
from routing.liveness import Kind as Alive
from routing.means import Means
from routing.spread import SpreadAsk, new_job
from routing.view import View

log = logging.getLogger(__name__)

#: How often the revisions are looked at, and how soon a service node is asked again, seconds.
LOOK_S = 1.0
AGAIN_S = 30.0
WHO = "serval"
#: Images take long, and come by routing/imagespread.py.
KINDS = tuple(kind for kind in Kind if kind is not Kind.IMAGE)


class CatchUp:
    """What one supervisor does about service nodes that are behind."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._looked = float("-inf")
        #: Kind and service node → revisions (newest, had) for which nothing was to be done.
        self._fine: dict[tuple[str, str], tuple[int, int]] = {}

    def step(self, view: View) -> None:
        """Ask for what is missing, while no job is about to bring it anyway."""
        if view.at - self._looked < LOOK_S or any(brings(row) for row in view.jobs):
            return
        self._looked = view.at
        for name, missing in self._behind().items():
            self._ask(name, missing)

    def _behind(self) -> dict[str, dict[str, int]]:
        """Live service node → kind → revision that it has, where that is not enough."""
        observer = self._means.observer
        live = {
            name: lease for name, lease in observer.leases.items() if observer.state(name).kind is Alive.LIVE
        }
        found: dict[str, dict[str, int]] = {}
        with reading(self._means.engine) as connection:
            for kind in KINDS:
                newest, have = wanted.last(connection, kind), wanted.have(connection, kind)
                for name, lease in live.items():
                    had = have[name].revision if name in have else 0
                    if had >= newest or self._fine.get((kind, name)) == (newest, had):
                        continue
                    if wanted.lacks(connection, kind, (name, *lease.aliases), had):
                        found.setdefault(name, {})[kind] = had
                    else:
                        self._fine[kind, name] = (newest, had)
        return found

    def _ask(self, name: str, missing: dict[str, int]) -> None:
        now = self._means.wall()
        revisions = "-".join(f"{kind}{had}" for kind, had in missing.items())
        ask = SpreadAsk(
            request=f"catch-up-{name}-{revisions}-{int(now // AGAIN_S)}",
            command="nodeset",
            label=f"nodeset {name} catch-up",
            who=WHO,
            kinds=tuple(missing),
            pools={name: (name,)},
            texts={name: "caught up"},
            changing=False,
        )
        with writing(self._means.engine) as connection:
            one_writer(connection)
            number = jobs.enter(connection, new_job(ask), now)
        log.info("%s is behind: job %d", name, number)


def brings(row: JobRow) -> bool:
    """Whether a job is about to bring desired state to service nodes; a build or a look does not."""
    try:
        sync = syncspec.from_text(row.spec)
    except RequestError:
        return False
    return sync is not None and sync.mode is Mode.APPLY and any(kind in KINDS for kind in sync.kinds)
