"""Installation trees and roots on NFS on a service node, from a real nginx: cut, killed, changed, by hand."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from image_rig import Origin, Wire, free_bytes, kill_halfway, noise, opened, origin, silent, small_disk

from core.errors import RequestError, UnavailableError
from core.imagedoc import Form, ImageDoc
from core.images.medialist import NAME
from core.nodeset.files import LITE_PARCEL, LITE_ROOT
from drivers.images import lite, mediacopy, medialook
from drivers.images.copies import ImageCopies, describe
from drivers.images.jail import Cancelled, Jail
from drivers.images.pack import CAPABILITY

FOLDER = "install/debian12/x86_64"
ROOTS = "install/netboot/debian12/x86_64/lite"
#: As the kernel stores cap_net_raw=ep, revision 2.
NET_RAW = bytes.fromhex("0100000200200000000000000000000000000000")


@pytest.fixture
def mn() -> Iterator[Origin]:
    """A management node with a tree."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with origin(Path(folder)) as made:
            tree = made.top / FOLDER
            (tree / "pool").mkdir(parents=True)
            (tree / "empty").mkdir()
            (tree / "large").write_bytes(noise("large", 4 << 20))
            for number in range(40):
                (tree / f"pool/a {number}+%.deb").write_bytes(noise(str(number), 5000))
            (tree / "twice").write_bytes(noise("1", 5000))
            (tree / "run").write_text("#!/bin/sh\n")
            (tree / "run").chmod(0o755)
            (tree / "pool/none").touch()
            (tree / "debian").symlink_to(".")
            yield made


@pytest.fixture
def wire(mn: Origin) -> Iterator[Wire]:
    made = Wire(mn.server)
    yield made
    made.close()


def media(mn: Origin) -> ImageDoc:
    """What nodeset makes of the tree."""
    listed, _ = medialook.renew(mn.top / FOLDER)
    doc = describe(FOLDER, FOLDER, mn.top / FOLDER, [NAME], None)
    return replace(doc, form=Form.MEDIA, listed=listed.size)


def tree(top: Path, folder: str = FOLDER) -> dict[str, object]:
    """All that a tree is."""
    found: dict[str, object] = {}
    for path in sorted((top / folder).rglob("*")):
        name, status = str(path.relative_to(top / folder)), path.lstat()
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file():
            mtime = 0 if name == NAME else status.st_mtime_ns
            found[name] = (status.st_mode, mtime, path.read_bytes())
        else:
            found[name] = "folder"
    return found


def test_a_tree_is_brought_over_one_connection_and_then_left_alone(
    mn: Origin, wire: Wire, tmp_path: Path
) -> None:
    doc, heard = media(mn), list[int]()
    opened(tmp_path).keep(doc, [wire.server], heard.append)
    assert tree(tmp_path) == tree(mn.top)
    assert (heard == sorted(heard), wire.lines) == (True, 1)
    assert {path.name for path in (tmp_path / FOLDER).parent.iterdir()} == {"x86_64"}
    asked = len(wire.ranges)
    opened(tmp_path).keep(doc, [wire.server], silent)
    assert (len(wire.ranges), opened(tmp_path).held[FOLDER].version) == (asked, doc.version)


def test_a_file_that_was_changed_is_noticed_and_comes_alone(mn: Origin, wire: Wire, tmp_path: Path) -> None:
    opened(tmp_path).keep(media(mn), [wire.server], silent)
    before, asked = media(mn), len(wire.ranges)
    (mn.top / FOLDER / "pool/new.deb").write_bytes(b"new")
    (mn.top / FOLDER / "twice").unlink()
    inode = (tmp_path / FOLDER / "large").stat().st_ino
    doc = media(mn)
    assert doc.version != before.version
    opened(tmp_path).keep(doc, [wire.server], silent)
    assert tree(tmp_path) == tree(mn.top)
    assert (len(wire.ranges) - asked, (tmp_path / FOLDER / "large").stat().st_ino) == (2, inode)


def test_a_wrong_file_never_gets_into_service(mn: Origin, wire: Wire, tmp_path: Path) -> None:
    opened(tmp_path).keep(media(mn), [wire.server], silent)
    old = tree(tmp_path)
    (mn.top / FOLDER / "large").write_bytes(noise("new", 4 << 20))
    doc = media(mn)
    (mn.top / FOLDER / "large").write_bytes(noise("spoilt", 4 << 20))
    with pytest.raises(UnavailableError, match=r"large is not the file .* SHA-256 differs"):
        opened(tmp_path).keep(doc, [wire.server], silent)
    assert tree(tmp_path) == old
    there = ImageCopies(mn.top / "state", lambda folder: mn.top / folder)
    with pytest.raises(
        RequestError, match=r"large: not what was packed\. serval images --look install/debian12"
    ):
        there.keep(doc, [], silent, may_fetch=False)
    opened(tmp_path).keep(media(mn), [wire.server], silent)
    assert tree(tmp_path) == tree(mn.top)


def test_a_fetch_that_was_killed_leaves_the_old_tree_and_goes_on(
    mn: Origin, wire: Wire, tmp_path: Path
) -> None:
    opened(tmp_path).keep(media(mn), [wire.server], silent)
    old = tree(tmp_path)
    (mn.top / FOLDER / "large").write_bytes(noise("larger", 24 << 20))
    doc = media(mn)
    kill_halfway(tmp_path, wire.server, doc)
    assert tree(tmp_path) == old
    wire.carried, wire.ranges = 0, []
    opened(tmp_path).keep(doc, [wire.server], silent)
    assert tree(tmp_path) == tree(mn.top)
    assert any(one.startswith("bytes=") for one in wire.ranges) and wire.carried < doc.size * 2 // 3


def test_a_connection_that_is_cut_is_gone_on_with(mn: Origin, wire: Wire, tmp_path: Path) -> None:
    doc, wire.limits = media(mn), [100_000, 2 << 20]
    opened(tmp_path).keep(doc, [wire.server], silent)
    assert tree(tmp_path) == tree(mn.top)
    assert wire.carried < doc.size + 100_000


def test_what_lies_there_by_hand_is_taken_and_stays(mn: Origin, wire: Wire, tmp_path: Path) -> None:
    doc = media(mn)
    shutil.copytree(mn.top / FOLDER, tmp_path / FOLDER, symlinks=True, copy_function=shutil.copyfile)
    (tmp_path / FOLDER / NAME).unlink()
    (tmp_path / FOLDER / "own").touch()
    opened(tmp_path).keep(doc, [wire.server], silent)
    assert (tmp_path / FOLDER / "own").exists() and len(wire.ranges) == 1, "only the list came"
    opened(tmp_path).drop(FOLDER)
    assert (tmp_path / FOLDER / "large").exists()

    other = tmp_path / "other"
    (other / FOLDER).mkdir(parents=True)
    (other / FOLDER / "own").touch()
    opened(other).keep(doc, [wire.server], silent)
    assert tree(other) == tree(mn.top)
    assert (other / "install/debian12/.x86_64.old/own").exists()
    opened(other).drop(FOLDER)
    assert not (other / FOLDER).exists() and not opened(other).held


def test_links_out_of_a_tree_are_left_out(mn: Origin) -> None:
    (mn.top / FOLDER / "updates").symlink_to("/srv/updates")
    os.mkfifo(mn.top / FOLDER / "pipe")
    assert medialook.renew(mn.top / FOLDER)[1] == ["pipe", "updates"]


def root(mn: Origin, log: Path, seed: str) -> ImageDoc:
    """What liteimg makes of a tree."""
    folder = mn.top / ROOTS
    new = folder / LITE_ROOT
    shutil.rmtree(new, ignore_errors=True)
    (new / "etc").mkdir(parents=True)
    (new / "etc/shadow").write_text(seed)
    (new / "etc/shadow").chmod(0o640)
    os.chown(new / "etc/shadow", 12, 42)
    os.link(new / "etc/shadow", new / "hard")
    os.setxattr(new / "hard", CAPABILITY, NET_RAW)
    os.mknod(new / "null", 0o20666, os.makedev(1, 3))
    with log.open("ab") as output:
        lite.archive(Jail(output), new, folder)
    for name in ("kernel-statelite", "initrd-statelite.gz"):
        (folder / name).write_text(seed[:9])
    names = ("kernel-statelite", "initrd-statelite.gz", LITE_PARCEL)
    return replace(describe("lite", ROOTS, folder, names, None), form=Form.ROOT)


def test_a_root_comes_with_its_owners_and_the_one_before_stays(
    mn: Origin, wire: Wire, tmp_path: Path
) -> None:
    log, there = tmp_path / "log", tmp_path / ROOTS
    doc = root(mn, log, "one")
    opened(tmp_path).keep(doc, [wire.server], silent)
    status = (there / LITE_ROOT / "etc/shadow").stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777, status.st_nlink) == (12, 42, 0o640, 2)
    assert (there / LITE_ROOT / "null").is_char_device()
    assert os.getxattr(there / LITE_ROOT / "hard", CAPABILITY) == NET_RAW
    asked = len(wire.ranges)
    opened(tmp_path).keep(doc, [wire.server], silent)
    assert len(wire.ranges) == asked
    shutil.rmtree(there / LITE_ROOT)
    assert opened(tmp_path).held == {}
    opened(tmp_path).keep(doc, [wire.server], silent)
    assert len(wire.ranges) == asked, "unpacked once more from what is there"

    opened(tmp_path).keep(root(mn, log, "two"), [wire.server], silent)
    texts = [(there / name / "etc/shadow").read_text() for name in (LITE_ROOT, lite.OLD)]
    assert texts == ["two", "one"]
    assert {path.name for path in there.iterdir()} == {
        *(file.name for file in doc.files),
        LITE_ROOT,
        lite.OLD,
    }
    opened(tmp_path).drop("lite")
    assert not there.exists()


def test_a_root_that_cannot_be_unpacked_leaves_the_old_one(mn: Origin, wire: Wire, tmp_path: Path) -> None:
    log = tmp_path / "log"
    opened(tmp_path).keep(root(mn, log, "one"), [wire.server], silent)
    root(mn, log, "two")
    (mn.top / ROOTS / LITE_PARCEL).write_bytes(b"no archive")
    names = ("kernel-statelite", "initrd-statelite.gz", LITE_PARCEL)
    doc = replace(describe("lite", ROOTS, mn.top / ROOTS, names, None), form=Form.ROOT)
    with pytest.raises(RequestError, match=r"cannot be unpacked: .*; the old root stays"):
        opened(tmp_path).keep(doc, [wire.server], silent)
    assert (tmp_path / ROOTS / LITE_ROOT / "etc/shadow").read_text() == "one"


def test_a_disk_that_gets_full_keeps_the_old_tree_and_is_given_back(
    mn: Origin, wire: Wire, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 16 << 20) as disk:
        opened(disk).keep(media(mn), [wire.server], silent)
        old, hog = tree(disk), disk / "hog"
        for name in ("new", "newer"):
            (mn.top / FOLDER / name).write_bytes(noise(name, 3 << 20))

        def fill(there: int) -> None:
            if (mediacopy.beside(disk / FOLDER) / "files").exists() and not hog.exists():
                with suppress(OSError), hog.open("wb") as file:
                    file.write(bytes(free_bytes(disk) - (4 << 20)))

        with pytest.raises(RequestError, match=r"no space is left .* the old image stays"):
            opened(disk).keep(media(mn), [wire.server], fill)
        assert tree(disk) == old
        assert free_bytes(disk) > 3 << 20, "what had come was given back"
        hog.unlink()
        opened(disk).keep(media(mn), [wire.server], silent)
        assert tree(disk) == tree(mn.top)


def test_a_root_for_which_there_is_no_room_leaves_the_old_one(mn: Origin, wire: Wire, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with small_disk(tmp_path / "disk", 4 << 20) as disk:
        opened(disk).keep(root(mn, log, "one"), [wire.server], silent)
        before = free_bytes(disk)
        doc = root(mn, log, "0" * (8 << 20))  # as an archive it has some hundred bytes
        with pytest.raises(RequestError, match=r"no space is left .* the old image stays"):
            opened(disk).keep(doc, [wire.server], silent)
        assert (disk / ROOTS / LITE_ROOT / "etc/shadow").read_text() == "one"
        assert free_bytes(disk) > before - (64 << 10)
        assert not (disk / ROOTS / ".fetch").exists()


def test_what_was_never_whole_goes_with_its_image(mn: Origin, wire: Wire, tmp_path: Path) -> None:
    def give_up(there: int) -> None:
        if there > 100:
            raise Cancelled("given up")

    with pytest.raises(Cancelled, match="given up"):
        opened(tmp_path).keep(media(mn), [wire.server], give_up)
    parts = mediacopy.beside(tmp_path / FOLDER)
    assert any(parts.iterdir())
    opened(tmp_path).drop(FOLDER)
    assert not parts.exists()
    assert (opened(tmp_path).held, opened(tmp_path).revision()) == ({}, 0)

    doc = root(mn, tmp_path / "log", "one")
    with pytest.raises(Cancelled, match="given up"):
        opened(tmp_path).keep(doc, [wire.server], give_up)
    assert (tmp_path / ROOTS / ".fetch").exists()
    opened(tmp_path).drop("lite")
    assert not (tmp_path / ROOTS).exists()
