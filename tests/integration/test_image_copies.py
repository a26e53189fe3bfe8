"""Copies of images on a service node, from a real nginx: cut, killed, full, wrong, and never a half one."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from image_rig import (
    FILES,
    FOLDER,
    HERE,
    Origin,
    Wire,
    free_bytes,
    kill_halfway,
    noise,
    opened,
    origin,
    silent,
    small_disk,
)
from sqlalchemy import delete, insert, update

from core.errors import RequestError, UnavailableError
from core.imagedoc import Form
from core.syncspec import Mode
from core.wanted import Kind
from db import wanted
from db.deliveries import Said
from db.engine import open_engine, reading, writing
from db.home import Home, make_home
from db.images import write_image
from db.tables import TABLES
from db.wanted import Kept
from drivers.images.copies import ImageCopies, describe
from drivers.images.fetch import Server, fetch, length
from routing import imagewishes
from routing.imagecopies import announce_copies, copy_images
from routing.syncing import Order

#: Nobody listens there.
NOBODY = Server("127.0.0.1", 9)


@pytest.fixture
def mn() -> Iterator[Origin]:
    """A management node; nginx's own user may read it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with origin(Path(folder)) as made:
            yield made


@pytest.fixture
def wire(mn: Origin) -> Iterator[Wire]:
    """The service node's way to it."""
    made = Wire(mn.server)
    yield made
    made.close()


def texts(top: Path) -> dict[str, bytes]:
    """What lies in the image's folder, without what is on its way."""
    return {file.name: file.read_bytes() for file in (top / FOLDER).iterdir() if file.is_file()}


def test_an_image_is_brought_and_then_left_alone(mn: Origin, wire: Wire, tmp_path: Path) -> None:
    doc = mn.pack("one")
    heard: list[int] = []
    opened(tmp_path).keep(doc, [wire.server], heard.append)
    assert texts(tmp_path) == texts(mn.top)
    assert heard == sorted(heard) and heard[-1] == doc.size
    assert {oct(file.stat().st_mode & 0o777) for file in (tmp_path / FOLDER).iterdir()} == {"0o644"}
    assert len(wire.ranges) == 3
    opened(tmp_path).keep(doc, [NOBODY], silent)
    assert opened(tmp_path).held["compute"].version == doc.version

    newer = describe("compute", FOLDER, mn.folder, FILES, doc)
    assert newer == doc
    (mn.folder / "kernel").write_bytes(b"another kernel")
    opened(tmp_path).keep(describe("compute", FOLDER, mn.folder, FILES, doc), [wire.server], silent)
    assert texts(tmp_path) == texts(mn.top)
    assert len(wire.ranges) == 4, "what is the same is not brought again"


def test_the_old_version_stays_until_the_new_one_is_whole(mn: Origin, wire: Wire, tmp_path: Path) -> None:
    opened(tmp_path).keep(mn.pack("old"), [wire.server], silent)
    old, doc = texts(tmp_path), mn.pack("new")

    def look(there: int) -> None:
        assert texts(tmp_path) == old

    opened(tmp_path).keep(doc, [wire.server], look)
    assert texts(tmp_path) == texts(mn.top) != old


def test_a_connection_that_is_cut_is_gone_on_with(mn: Origin, wire: Wire, tmp_path: Path) -> None:
    doc = mn.pack("cut")
    wire.limits = [doc.size - doc.files[2].size + (2 << 20), 1 << 20, 0]
    opened(tmp_path).keep(doc, [wire.server], silent)
    assert texts(tmp_path) == texts(mn.top)
    assert wire.ranges[:3] == ["", "", ""]
    first, second, third = (int(one.removeprefix("bytes=").rstrip("-")) for one in wire.ranges[3:])
    assert 0 < first < second == third < doc.files[2].size
    assert wire.carried < doc.size + 10_000, "no byte came twice"


def test_another_server_goes_on_where_the_first_one_ended(mn: Origin, wire: Wire, tmp_path: Path) -> None:
    doc = mn.pack("two servers")
    wire.limits = [1 << 20] * 9
    opened(tmp_path).keep(doc, [NOBODY, wire.server, mn.server], silent)
    assert texts(tmp_path) == texts(mn.top)
    assert wire.carried < doc.size


def test_what_is_not_what_was_packed_never_gets_into_service(mn: Origin, wire: Wire, tmp_path: Path) -> None:
    opened(tmp_path).keep(mn.pack("good"), [wire.server], silent)
    old, doc = texts(tmp_path), mn.pack("changed")
    good = (mn.folder / "rootimg.sfs").read_bytes()
    (mn.folder / "rootimg.sfs").write_bytes(noise("spoilt", len(good)))
    with pytest.raises(UnavailableError, match=r"rootimg\.sfs is not the file .* SHA-256 differs"):
        opened(tmp_path).keep(doc, [wire.server], silent)
    (mn.folder / "rootimg.sfs").write_bytes(good[:-1])
    with pytest.raises(UnavailableError, match="it has another size"):
        opened(tmp_path).keep(doc, [wire.server], silent)
    assert texts(tmp_path) == old
    (mn.folder / "rootimg.sfs").write_bytes(good)
    opened(tmp_path).keep(doc, [wire.server], silent)
    assert texts(tmp_path) == texts(mn.top)


def test_a_part_of_something_else_is_thrown_away(mn: Origin, wire: Wire, tmp_path: Path) -> None:
    file = mn.pack("part").files[2]
    part = tmp_path / "part"
    part.write_bytes(b"x" * 1000)
    fetch(file, f"/{FOLDER}/{file.name}", [wire.server], part, silent, pauses=(0.0,))
    assert part.read_bytes() == (mn.folder / file.name).read_bytes()
    assert wire.ranges == ["bytes=1000-", ""]


def test_nobody_has_it(mn: Origin, tmp_path: Path) -> None:
    file = replace(mn.pack("gone").files[0], name="absent")
    with pytest.raises(
        UnavailableError, match=r"absent: status 404 Not Found; http://127\.0\.0\.1:9/.*refused"
    ):
        fetch(file, f"/{FOLDER}/absent", [mn.server, NOBODY], tmp_path / "part", silent, pauses=())
    assert length(tmp_path / "part") == 0


def test_a_full_disk_is_said_and_given_back(mn: Origin, wire: Wire, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 12 << 20) as disk:
        opened(disk).keep(mn.pack("small", 1 << 20), [wire.server], silent)
        old = texts(disk)
        with pytest.raises(RequestError, match=r"no space is left .* the old image stays"):
            opened(disk).keep(mn.pack("large", 16 << 20), [wire.server], silent)
        doc, hog = mn.pack("fits", 6 << 20), disk / "hog"

        def fill(there: int) -> None:
            if there > 3 << 20 and not hog.exists():
                with suppress(OSError), hog.open("wb") as file:
                    file.write(bytes(free_bytes(disk) - (1 << 20)))

        with pytest.raises(RequestError, match="cannot be written: No space left on device"):
            opened(disk).keep(doc, [wire.server], fill)
        assert texts(disk) == old
        assert free_bytes(disk) > 1 << 20, "the part was given back"
        hog.unlink()
        opened(disk).keep(doc, [wire.server], silent)
        assert texts(disk) == texts(mn.top)


def test_a_fetch_that_was_killed_goes_on(mn: Origin, wire: Wire, tmp_path: Path) -> None:
    opened(tmp_path).keep(mn.pack("old", 1 << 20), [wire.server], silent)
    old, doc = texts(tmp_path), mn.pack("killed", 24 << 20)
    kill_halfway(tmp_path, wire.server, doc)
    assert texts(tmp_path) == old
    wire.carried, wire.ranges = 0, []
    opened(tmp_path).keep(doc, [wire.server], silent)
    assert texts(tmp_path) == texts(mn.top)
    assert wire.ranges[-1].startswith("bytes=")
    assert wire.carried < doc.size * 2 // 3


def test_files_that_somebody_touched_are_noticed_and_brought_again(mn: Origin, tmp_path: Path) -> None:
    doc = mn.pack("touched")
    copies = opened(tmp_path)
    copies.keep(doc, [mn.server], silent)
    copies.reached(7)
    assert opened(tmp_path).revision() == 7
    (tmp_path / FOLDER / "kernel").write_bytes(b"somebody's own")
    assert opened(tmp_path).revision() == 0
    assert opened(tmp_path).held == {}
    opened(tmp_path).keep(doc, [mn.server], silent)
    assert (opened(tmp_path).revision(), texts(tmp_path)) == (7, texts(mn.top))


def test_only_what_was_brought_is_removed(mn: Origin, tmp_path: Path) -> None:
    doc = mn.pack("removed")
    copies = opened(tmp_path)
    copies.keep(doc, [mn.server], silent)
    copies.drop("compute")
    assert not (tmp_path / FOLDER).exists() and not copies.held
    mounted = ImageCopies(tmp_path / "other", lambda folder: mn.top / folder)
    mounted.keep(doc, [], silent, may_fetch=False)
    mounted.drop("compute")
    assert set(texts(mn.top)) == set(FILES)
    (mn.folder / "kernel").write_bytes(b"")
    with pytest.raises(RequestError, match=r"kernel: not what was packed\. packimage compute makes it known"):
        mounted.keep(doc, [], silent, may_fetch=False)


# -- with the database ---------------------------------------------------------------------------------


@dataclass
class Cluster:
    """mn1 with an image, and sn1 and sn2, in whose pools n1 boots it."""

    mn: Origin
    top: Path
    url: str

    def __post_init__(self) -> None:
        self.engine = open_engine(self.url)
        rows = {
            "site": [
                {"key": "master", "value": HERE},
                {"key": "httpport", "value": str(self.mn.port)},
            ],
            "nodelist": [{"node": node, "groups": "all"} for node in ("n1", "sn1", "sn2")],
            "servicenode": [{"node": name, "tftpserver": "1"} for name in ("sn1", "sn2")],
            "noderes": [{"node": "n1", "servicenode": "sn1,sn2"}],
            "nodetype": [{"node": "n1", "provmethod": "compute"}],
        }
        image = {"osvers": "debian12", "osarch": "x86_64", "profile": "compute", "provmethod": "netboot"}
        with writing(self.engine) as connection:
            for table, some in rows.items():
                connection.execute(delete(TABLES[table]))
                connection.execute(insert(TABLES[table]), some)
            write_image(connection, "compute", image)

    def home(self, name: str) -> Home:
        root = self.mn.top if name == "mn1" else self.top / name / "root"
        make_home(self.top / name)
        return Home(self.top / name, self.url, None, name, "mn1", root=root)

    def work(self, name: str) -> Said:
        """One attempt of a host."""
        return copy_images(Order(self.home(name), self.engine, [name], Mode.APPLY))

    def stands(self) -> dict[str, str]:
        """Who has it."""
        with reading(self.engine) as connection:
            one = imagewishes.standing(connection)["compute"]
        return {name: one.copies[name].brief(one.doc.version) for name in one.copies}

    def publish(self) -> list[str]:
        return imagewishes.publish(self.engine, self.home("mn1"), "compute")

    def kept(self, name: str) -> Kept:
        with reading(self.engine) as connection:
            return wanted.have(connection, Kind.IMAGE)[name]

    def newest(self) -> int:
        with reading(self.engine) as connection:
            return wanted.last(connection, Kind.IMAGE)


@pytest.fixture
def cluster(mn: Origin, tmp_path: Path, database_url: str) -> Iterator[Cluster]:
    made = Cluster(mn, tmp_path, database_url)
    yield made
    made.engine.dispose()


def test_a_new_version_reaches_those_whose_nodes_boot_it(cluster: Cluster) -> None:
    cluster.mn.pack("one", 1 << 20)
    assert cluster.publish() == ["sn1", "sn2"]
    assert cluster.work("mn1").texts == {"mn1": "images: compute"}
    assert cluster.work("sn1").texts == {"sn1": "images: compute"}
    assert cluster.stands() == {"mn1": "current", "sn1": "current"}
    assert cluster.kept("sn1") == Kept(cluster.newest())
    assert texts(cluster.home("sn1").root) == texts(cluster.mn.top)

    cluster.mn.pack("two", 1 << 20)
    cluster.publish()
    assert cluster.stands() == {"mn1": "behind", "sn1": "behind"}
    (cluster.mn.folder / "kernel").write_bytes(b"not what was packed")
    (problem,) = cluster.work("sn1").problems.values()
    assert problem.startswith("compute: ") and "has another size" in problem
    assert cluster.stands()["sn1"].startswith("failed: http://127.0.0.1:")
    assert cluster.kept("sn1").revision < cluster.newest()
    assert "kernel: not what was packed" in cluster.work("mn1").problems["mn1"]


def test_who_lost_its_disk_says_so_and_who_needs_it_no_more_loses_it(cluster: Cluster) -> None:
    cluster.mn.pack("lost", 1 << 20)
    cluster.publish()
    for name in ("sn1", "sn2"):
        cluster.work(name)
        announce_copies(cluster.home(name), cluster.engine)
    assert cluster.stands() == {"sn1": "current", "sn2": "current"}
    shutil.rmtree(cluster.home("sn1").root)
    announce_copies(cluster.home("sn1"), cluster.engine)
    assert (cluster.kept("sn1"), cluster.kept("sn2")) == (Kept(0), Kept(cluster.newest()))
    assert cluster.stands() == {"sn2": "current"}
    cluster.work("sn1")
    assert cluster.stands() == {"sn1": "current", "sn2": "current"}

    with writing(cluster.engine) as connection:
        connection.execute(update(TABLES["noderes"]).values(servicenode="sn2"))
    assert cluster.publish() == ["sn2"]
    with writing(cluster.engine) as connection:
        one = imagewishes.standing(connection)["compute"]
        imagewishes.enter(connection, {"compute": (["sn3"], one.doc)})
    assert cluster.publish() == ["sn2", "sn3"], "who was promised its first copy still gets it"
    assert cluster.work("sn1").texts == {"sn1": "images: none"}
    assert not (cluster.home("sn1").root / FOLDER).exists()
    assert cluster.stands() == {"sn2": "current"}


def test_media_stay_while_a_node_is_installed_from_who_knows_what(cluster: Cluster) -> None:
    media, root = "install/debian12/x86_64", "lite"
    cluster.mn.pack("one", 1 << 20)
    cluster.publish()

    def left(provmethod: str) -> set[str]:
        with writing(cluster.engine) as connection:
            connection.execute(update(TABLES["nodetype"]).values(provmethod=provmethod))
            imagewishes.forget_undefined(connection, cluster.home("mn1"))
            return set(imagewishes.standing(connection))

    with writing(cluster.engine) as connection:
        doc = imagewishes.standing(connection)["compute"].doc
        more = {
            media: (["sn1"], replace(doc, image=media, form=Form.MEDIA)),
            root: (["sn1"], replace(doc, image=root, form=Form.ROOT)),
            "old": (["sn1"], replace(doc, image="old")),
        }
        imagewishes.enter(connection, more)
    assert left("gone") == {"compute", media, root}, "nobody can say what gone is installed from"
    assert left("install") == {"compute", root}, "no node names an osimage that is not there"
    with writing(cluster.engine) as connection:
        write_image(connection, "compute", {"osvers": "../etc"})
    assert left("compute") == {"compute", root}, (
        "a definition that cannot be read takes nothing from its nodes"
    )


def test_a_fetch_that_was_given_up_ends(cluster: Cluster) -> None:
    cluster.mn.pack("given up")
    cluster.publish()
    order = Order(cluster.home("sn1"), cluster.engine, ["sn1"], Mode.APPLY, given_up=lambda: True)
    assert copy_images(order).problems == {"sn1": "compute: compute was not brought to its end"}
