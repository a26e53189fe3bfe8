"""Service set-up: a service node's daemons become what the servicenode and site tables say.

xCAT does this when xcatd starts; here it is done at the start of a worker, by `serval services` and by
makentp and makeconservercf. Each daemon is described by routing/daemons.py and kept by
drivers/services/upkeep.py; one that cannot be had does not keep the others from being set up.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial

from core.errors import ServalError, UnavailableError
from core.services import settings
from core.services.wanted import Result, Service, State, Wanted
from core.syncspec import Mode
from db import snservices
from db.deliveries import Said
from db.engine import Engine, reading, writing
from db.home import Home
from drivers.services import forwarding, mounts
from drivers.services.records import Records
from drivers.services.runner import Runner, Supervised
from drivers.services.systemd import BOOTED, Systemd
from drivers.services.upkeep import keep_up, put_down
from routing.daemons import DAEMONS, Part
from routing.hosttables import HostTables, read_tables
from routing.syncing import Hand, Order

log = logging.getLogger(__name__)

EVERYTHING = frozenset(Service)
#: Site keys that ask for a mount, with the service that needs it; without one it is always made.
MOUNTS: dict[str, tuple[Service | None, Callable[..., settings.MountWanted | None]]] = {
    "installloc": (None, settings.install_mount),
    "sharedtftp": (Service.TFTP, settings.tftp_mount),
}


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one part of a service. A sentence without anything to say is empty."""

    service: str
    sentence: str
    state: State = State.OK


@dataclass(frozen=True, slots=True)
class SetUp:
    """One run on this host."""

    tables: HostTables
    runner: Runner
    #: Of what is on without being a daemon: mounts, forwarding.
    switches: Records
    only_check: bool
    only: Collection[Service]
    #: What was on before.
    had: Collection[str] = ()

    def everything(self) -> list[Told]:
        """All parts in the order in which they need one another."""
        told = [Told(one.service, one.refusal, State.FAILED) for one in self._asked() if one.refusal]
        if self.only == EVERYTHING:
            for key in MOUNTS:
                told += self._part([key], partial(self._mount, key))
        for part in DAEMONS:
            if set(part.services) & set(self.only):
                told += self._daemon(part)
        for service, sets in ((Service.FORWARD, self._forward), (Service.MONITOR, self._monitor)):
            if service in self.only:
                told += self._part([service], sets)
        return told

    def _asked(self) -> list[Wanted]:
        return [one for one in self.tables.wanted if one.on and one.service in self.only]

    def _wants(self, service: Service) -> Wanted | None:
        """What is asked of a service that can be had; None when it shall be off."""
        return next((one for one in self.tables.wanted if one.service is service and one.on), None)

    @staticmethod
    def _part(services: Iterable[str], do: Callable[[], list[Told]]) -> list[Told]:
        """Do one part; what goes wrong is said of each of its services."""
        try:
            return do()
        except ServalError as error:
            return [Told(service, error.message, State.FAILED) for service in services]
        except OSError as error:
            return [Told(service, str(error), State.FAILED) for service in services]

    def _daemon(self, part: Part) -> list[Told]:
        asked = [one for service in part.services if (one := self._wants(service))]
        wanted = [one for one in asked if not one.refusal]
        if asked and not wanted:
            return []  # said already; whatever runs is left alone
        if not wanted and self.tables.silent.issuperset(part.services):
            return []
        if not wanted:
            ending = [service for service in part.services if service in self.had] or part.services
            return self._part(ending, partial(self._end, part.name, ending))
        return self._part([one.service for one in wanted], lambda: self._run(part, wanted))

    def _run(self, part: Part, wanted: list[Wanted]) -> list[Told]:
        kept = keep_up(part.describe(self.tables, wanted), self.runner, only_check=self.only_check)
        return [
            Told(service, f"{part.name}: {complaint}", State.FAILED)
            if complaint
            else Told(service, f"{part.name} {kept.done}")
            for service, complaint in kept.complaints.items()
        ]

    def _end(self, name: str, services: Iterable[Service]) -> list[Told]:
        done = put_down(name, self.runner, only_check=self.only_check)
        return [Told(service, done, State.OFF) for service in services if done]

    def _mount(self, key: str) -> list[Told]:
        service, asked = MOUNTS[key]
        wanted = None
        if not self.tables.is_mn and self.tables.asked and (service is None or self._wants(service)):
            wanted = asked(self.tables.site)
        if wanted is None:
            done = mounts.drop(key, self.switches, only_check=self.only_check)
            return [Told(key, done, State.OFF)] if done else []
        mount = mounts.Mount(key, wanted.source, self.tables.home.host_path(wanted.folder))
        done = mounts.keep(mount, self.switches, only_check=self.only_check)
        return [Told(key, f"{mount.folder} from {mount.source} {done}")]

    def _forward(self) -> list[Told]:
        wanted = self._wants(Service.FORWARD)
        if wanted and wanted.refusal:
            return []
        done = forwarding.keep(self.switches, on=wanted is not None, only_check=self.only_check)
        return [Told(Service.FORWARD, done, State.OK if wanted else State.OFF)] if done else []

    def _monitor(self) -> list[Told]:
        """The worker looks at the nodes itself (routing/monitoring.py), so there is nothing to start."""
        wanted = self._wants(Service.MONITOR)
        if not wanted or wanted.refusal:
            return []
        return [Told(Service.MONITOR, f"looks at {self.tables.monitored} nodes")]


def set_up(
    home: Home,
    engine: Engine,
    *,
    only_check: bool = False,
    only: Collection[Service] = EVERYTHING,
    forced: Collection[Service] = (),
) -> list[Result]:
    """Make this host's services what the tables say, note how they are, and say it.

    With `only_check` nothing is changed; on the management node `forced` services are on. Raises
    UnavailableError when the database does not answer.
    """
    with reading(engine) as connection:
        tables = read_tables(connection, home, forced)
        before = snservices.known(connection).get(home.name, [])
    had = {one.service for one in before if one.state is not State.OFF}
    runner = runner_of(home)
    with runner.records.locked():
        run = SetUp(tables, runner, Records(home.run / "switches" / home.name), only_check, only, had)
        results = with_endings(merged(run.everything()), had - tables.silent, only)
    with writing(engine) as connection:
        snservices.note(connection, home.name, results, time.time(), None if only == EVERYTHING else only)
    for one in results:
        level = logging.WARNING if one.state is State.FAILED else logging.INFO
        log.log(level, "%s: %s: %s", one.service, one.state, one.sentence)
    return results


def serve_files(home: Home, engine: Engine) -> None:
    """Let this host's web server run, whatever servicenode asks: service nodes fetch images from it.

    Raises UnavailableError or RequestError when it cannot, or does not work.
    """
    with reading(engine) as connection:
        tables = read_tables(connection, home)
    part = next(part for part in DAEMONS if part.name == "nginx")
    runner = runner_of(home)
    with runner.records.locked():
        kept = keep_up(part.describe(tables, []), runner)
    for complaint in filter(None, kept.complaints.values()):
        raise UnavailableError(f"{part.name}: {complaint}")


def revive(home: Home) -> list[str]:
    """Start again the daemons of this host that died; their names."""
    runner = runner_of(home)
    if not runner.records.names():
        return []
    with runner.records.locked():
        return runner.revive()


def tell(home: Home, daemon: str) -> None:
    """Let a daemon of this host read its files again; nothing happens when Serval does not run it."""
    runner_of(home).tell(daemon)


def runner_of(home: Home) -> Runner:
    """systemd where it is the init of this very host, else processes of our own."""
    records = Records(home.run / "services" / home.name)
    logs = home.logs / home.name
    if BOOTED.is_dir() and str(home.root) == "/":
        return Systemd(records, logs)
    return Supervised(records, logs)


def merged(told: Iterable[Told]) -> list[Result]:
    """One result for each service: the worst state of its parts, and all they say."""
    parts: dict[str, list[Told]] = {}
    for one in told:
        parts.setdefault(str(one.service), []).append(one)
    found = []
    for service, several in parts.items():
        states = {one.state for one in several}
        state = next(state for state in (State.FAILED, State.OK, State.OFF) if state in states)
        found.append(Result(service, state, "; ".join(one.sentence for one in several)))
    return found


def with_endings(found: list[Result], had: Collection[str], only: Collection[str]) -> list[Result]:
    """The results, and that each service is off which was on before and is not asked for any more."""
    gone = sorted((set(had) & set(only)) - {one.service for one in found})
    return [*found, *(Result(service, State.OFF, "not asked for any more") for service in gone)]


def hand(only: Collection[Service] = EVERYTHING, forced: Collection[Service] = ()) -> Hand:
    """What does the attempts of such a job on a host, which is its node too; `forced` as in `set_up`."""

    def do(order: Order) -> Said:
        check = order.mode is Mode.INSPECT
        results = set_up(order.home, order.engine, only_check=check, only=only, forced=forced)
        failed = "; ".join(f"{one.service}: {one.sentence}" for one in results if one.state is State.FAILED)
        well = ", ".join(f"{one.service} {one.state}" for one in results) or _asks_nothing(only)
        if failed:
            return Said(problems=dict.fromkeys(order.nodes, failed))
        return Said(texts=dict.fromkeys(order.nodes, well))

    return do


def _asks_nothing(only: Collection[Service]) -> str:
    what = "service" if only == EVERYTHING else " or ".join(sorted(only))
    return f"its row of the servicenode table asks for no {what}"


#: The kinds of such jobs (core.syncspec): `services`, `makentp` and `makeconservercf`.
HANDS: dict[str, Hand] = {
    "services": hand(),
    "makentp": hand(frozenset({Service.NTP}), {Service.NTP}),
    "makeconservercf": hand(frozenset({Service.CONSOLES}), {Service.CONSOLES}),
}
