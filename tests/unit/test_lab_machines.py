"""The laboratory's pure parts: what a node said, the order of modules, what the tables get."""

from pathlib import Path

import pytest

from core.errors import UnavailableError
from core.stanza import parse
from lab import image
from lab.image import cached, in_order
from lab.machine import Machine, load
from lab.tables import SNS, definitions


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine("cn1", tmp_path / "cn1", "52:54:00:5e:00:01", "cn1", "tcg")
    made.save()
    return made


def test_a_machine_is_known_by_its_folder(machine: Machine) -> None:
    assert load(machine.folder) == machine
    assert machine.pid() == 0


def test_what_a_machine_reported(machine: Machine) -> None:
    assert machine.reports() == []
    machine.console.write_bytes(
        b"\x1b[2J\xff SeaBIOS\r\n"
        b"lab: netbooting node=cn1 server=10.20.0.11:80 nonce=a \r\n"
        b"[    3.1] lab: booted node=cn1 server=10.20.0.11:80 nonce=a \r\n"
        b"lab: booted node=cn1 server=10.20.0.12:80 nonce=b \r\n"
    )
    first = {"node": "cn1", "server": "10.20.0.11:80", "nonce": "a"}
    assert machine.reports() == [first, {"node": "cn1", "server": "10.20.0.12:80", "nonce": "b"}]
    assert machine.reports("netbooting") == [first]


def test_modules_come_after_what_they_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image, "MODULES", ("net", "disk"))
    listing = tmp_path / "modules.dep"
    listing.write_text("k/net.ko: k/ring.ko k/bus.ko\nk/ring.ko: k/bus.ko\nk/bus.ko:\nk/disk.ko: k/bus.ko\n")
    assert in_order(listing) == ["k/bus.ko", "k/ring.ko", "k/net.ko", "k/disk.ko"]
    monkeypatch.setattr(image, "MODULES", ("tape",))
    with pytest.raises(UnavailableError, match="tape"):
        in_order(listing)


def test_the_cache_holds_what_was_built_whole_and_nothing_else(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        built.append(folder)
        (folder / "file").write_text("made")

    def fail(folder: Path) -> None:
        build(folder)
        raise UnavailableError("no mirror")

    built: list[Path] = []
    with pytest.raises(UnavailableError):
        cached(tmp_path, "root", ("a",), fail)
    assert list(tmp_path.iterdir()) == []
    first = cached(tmp_path, "root", ("a",), build)
    assert (first / "file").read_text() == "made"
    assert cached(tmp_path, "root", ("a",), fail) == first
    assert cached(tmp_path, "root", ("b",), build) != first
    assert len(built) == 3


def test_the_definitions_can_be_read() -> None:
    found = parse(definitions("xnba", [("cn1", "10.20.0.101")], [("cn1", "10.30.0.101")]))
    assert {"cn1", *SNS} <= {one.name for one in found}
