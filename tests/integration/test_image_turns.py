"""Who fetches images when: real supervisors on a virtual clock, real jobs, hands that only take note."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select
from stage import Stage

from core.errors import UnavailableError
from core.wanted import Kind
from db import wanted
from db.deliveries import Said
from db.engine import one_writer, open_engine, reading, writing
from db.home import Home
from db.jobtables import attempt, job
from db.tables import TABLES
from db.wanted import Kept
from db.wantedtables import kept
from db.wantedtables import wanted as wanted_table
from routing.imagespread import AGAIN_S
from routing.means import Parcel
from routing.syncing import Order, Syncer, note

SNS = ("mn1", "sn1", "sn2", "sn3", "sn4")


class Fetching:
    """Service nodes whose attempts wait until `work`; those in `broken` fail."""

    def __init__(self, url: str, tmp_path: Path) -> None:
        self.engine = open_engine(url)
        with writing(self.engine) as connection:
            for table in (wanted_table, kept, TABLES["site"]):
                connection.execute(delete(table))
        self.stage = Stage(self.engine, SNS)
        self.parcels: list[Parcel] = []
        self.broken: set[str] = set()
        self.homes = {name: Home(tmp_path / name, url, None, name, "mn1") for name in SNS}
        for name, home in self.homes.items():
            (home.path / "run").mkdir(parents=True)
            self.start(name)
        self.stage.turn(4)

    def start(self, name: str) -> None:
        self.stage.sns[name].take = self.parcels.append  # type: ignore[method-assign,assignment]

    def want(self, *names: str, image: str = "compute", document: str = "one") -> None:
        with writing(self.engine) as connection:
            one_writer(connection)
            wanted.put(connection, Kind.IMAGE, {image: (names, document)})

    def fetching(self) -> list[str]:
        """Who has an attempt in hand two seconds later."""
        self.stage.turn(8)
        return sorted({parcel.sn for parcel in self.parcels})

    def work(self, *names: str) -> None:
        """These end what they have in hand."""
        for parcel in [one for one in self.parcels if one.sn in names]:
            self.parcels.remove(parcel)
            syncer = Syncer(self.homes[parcel.sn], self.engine, {Kind.IMAGE: self.hand}, wall=self.stage.wall)
            syncer.work(parcel.attempt)

    def hand(self, order: Order) -> Said:
        if order.home.name in self.broken:
            raise UnavailableError("nobody serves it")
        with reading(self.engine) as connection:
            newest = wanted.last(connection, Kind.IMAGE)
        note(order, Kind.IMAGE, Kept(newest))
        return Said()

    def asked(self) -> Counter[str]:
        """How many jobs each had."""
        with reading(self.engine) as connection:
            return Counter(connection.scalars(select(job.c.label).where(job.c.command == "images")))

    def queues(self) -> set[str]:
        with reading(self.engine) as connection:
            return set(connection.scalars(select(attempt.c.queue)))


@pytest.fixture
def fetching(database_url: str, tmp_path: Path) -> Iterator[Fetching]:
    made = Fetching(database_url, tmp_path)
    yield made
    made.engine.dispose()


def test_a_limited_number_at_a_time_and_the_management_node_first(fetching: Fetching) -> None:
    with writing(fetching.engine) as connection:
        connection.execute(insert(TABLES["site"]).values(key="imagefetches", value="3"))
    fetching.want(*SNS)
    assert fetching.fetching() == ["mn1", "sn1", "sn2"]
    fetching.work("mn1", "sn2")
    assert fetching.fetching() == ["sn1", "sn3", "sn4"]
    fetching.work("sn1", "sn3", "sn4")
    assert fetching.fetching() == []
    assert fetching.asked() == {f"images {name}": 1 for name in SNS}
    assert fetching.queues() == {"mn1.bulk", *(f"{name}.build" for name in SNS[1:])}


def test_who_was_away_gets_it_and_who_is_not_concerned_does_not(fetching: Fetching) -> None:
    fetching.stage.sns["sn2"].alive = False
    fetching.stage.turn(16)
    fetching.want("sn1", "sn2")
    assert fetching.fetching() == ["sn1"]
    fetching.work("sn1")
    fetching.stage.boot("sn2")
    fetching.start("sn2")
    assert fetching.fetching() == ["sn2"]
    fetching.work("sn2")
    fetching.want("sn1", image="another")
    assert fetching.fetching() == ["sn1"]


def test_who_fails_is_asked_again_less_and_less_often(fetching: Fetching) -> None:
    fetching.broken.add("sn1")
    fetching.want("sn1", "sn2")
    asked = []
    for _ in range(8):
        fetching.fetching()
        fetching.work("sn1", "sn2")
        asked.append(fetching.asked()["images sn1"])
        fetching.stage.now += AGAIN_S
    assert asked == sorted(asked) and asked[0] == 1
    assert 3 <= asked[-1] <= 4, asked
    assert fetching.asked()["images sn2"] == 1
    fetching.want("sn1", "sn2", document="two")
    assert fetching.fetching() == ["sn1", "sn2"], "a new version is tried at once"
