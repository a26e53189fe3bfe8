"""A cluster whose service nodes keep small files: real supervisors on a virtual clock, real syncers."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from sqlalchemy import delete
from stage import Stage

from core.errors import RequestError
from core.wanted import Change, Kind
from db import events, jobs, wanted
from db.engine import one_writer, open_engine, reading, writing
from db.home import Home
from db.wantedtables import kept
from db.wantedtables import wanted as wanted_table
from routing.spread import SpreadAsk, new_job
from routing.syncing import Syncer, announce, keeping


class Folder:
    """A keeper of small files; the name `bad` cannot be written, and a full disk takes nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def _state(self) -> tuple[int, list[str]]:
        file = self.path / "state"
        revision, behind = json.loads(file.read_text()) if file.exists() else (0, [])
        return revision, behind

    def revision(self) -> int:
        return self._state()[0]

    def behind(self, names: Collection[str]) -> Sequence[str]:
        return self._state()[1]

    def apply(self, changes: Sequence[Change], revision: int) -> dict[str, str]:
        if (self.path / "full").exists():
            raise RequestError(f"{self.path} cannot be written: No space left on device")
        problems = {}
        for change in changes:
            file = self.path / f"node-{change.name}"
            if change.document is None:
                file.unlink(missing_ok=True)
            elif change.document == "bad":
                problems[change.name] = "the template does not render: line 3"
            else:
                file.write_text(change.document)
        (self.path / "state").write_text(json.dumps([revision, list(problems)]))
        return problems


class Cluster:
    """A stage whose service nodes keep files."""

    def __init__(self, url: str, tmp_path: Path) -> None:
        self.engine = open_engine(url)
        with writing(self.engine) as connection:
            connection.execute(delete(wanted_table))
            connection.execute(delete(kept))
        self.stage = Stage(self.engine)
        self.folders = {name: tmp_path / name for name in self.stage.sns}
        self.homes: dict[str, Home] = {}
        for name, folder in self.folders.items():
            (folder / "run").mkdir(parents=True)
            self.homes[name] = Home(folder, url, None, name, "mn1")
            self.start(name)
        self.stage.turn(4)
        self.numbers = 0

    def start(self, name: str) -> None:
        """The service node's worker begins: it says what it has, then takes attempts."""
        keepers = {Kind.BOOT: lambda home, site: Folder(home.path)}
        announce(self.homes[name], self.engine, keepers)
        hands = {kind: keeping(kind, keeper) for kind, keeper in keepers.items()}
        syncer = Syncer(self.homes[name], self.engine, hands, wall=self.stage.wall)
        self.stage.sns[name].take = lambda parcel: syncer.work(parcel.attempt)  # type: ignore[assignment,misc]

    def ask(
        self, documents: Mapping[str, tuple[str, str]], also: tuple[str, ...] = (), fold: bool = False
    ) -> int:
        """node → pool and document, in one transaction with the job; folded when nothing changes."""
        pools = {
            node: tuple(name for name in pool.split(",") if name) for node, (pool, _) in documents.items()
        }
        with writing(self.engine) as connection:
            one_writer(connection)
            entries = {n: (pools[n], text) for n, (_, text) in documents.items()}
            put = wanted.put(connection, Kind.BOOT, entries)
            self.numbers += 1
            ask = SpreadAsk(
                f"r{self.numbers}",
                "nodeset",
                "nodeset",
                "root",
                (Kind.BOOT,),
                pools,
                dict.fromkeys(pools, "boot"),
                unchanged=fold and not put.changed,
            )
            return jobs.enter(connection, new_job(ask), self.stage.wall())

    def file(self, sn: str, node: str) -> str | None:
        path = self.folders[sn] / f"node-{node}"
        return path.read_text() if path.exists() else None

    def said(self, number: int) -> dict[str, tuple[str, str, str | None]]:
        with reading(self.engine) as connection:
            found = jobs.results(connection, number)
        return {result.node: (result.outcome, result.text, result.sn) for result in found}

    def behind(self, number: int) -> list[tuple[str | None, str, str]]:
        with reading(self.engine) as connection:
            found = events.of_job(connection, number)
        return [(line.sn, line.nodes, line.message) for line in found if line.kind == "behind"]

    def kill(self, name: str) -> None:
        self.stage.sns[name].alive = False
        self.stage.turn(16)

    def come_back(self, name: str) -> None:
        self.stage.boot(name)
        self.start(name)
