"""The tree of boot files: what is written, what is left alone, and what is noticed."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.bootdoc import BootDoc, Loader, Way
from core.errors import RequestError
from core.wanted import Change, Keeper
from drivers.netboot import folder as folder_module
from drivers.netboot.loader import MARK
from drivers.netboot.loaders import render
from drivers.netboot.tree import BootTree

N1 = BootDoc(
    node="n1",
    state="netboot img",
    way=Way.IMAGE,
    loader=Loader.XNBA,
    arch="x86_64",
    macs=("52:54:00:00:00:01",),
    ip="10.0.0.1",
    kernel="tftpboot/xcat/osimage/img/kernel",
    initrd="tftpboot/xcat/osimage/img/initrd",
    cmdline="quiet",
)
N2 = replace(N1, node="n2", macs=("52:54:00:00:00:02",), ip="10.0.0.2")
G1, G2 = (replace(doc, loader=Loader.GRUB2) for doc in (N1, N2))


class Rig:
    """One tftpdir with its tree; every look at the tree is by a new one, as after a restart."""

    def __init__(self, root: Path) -> None:
        self.tftpdir = root / "tftpboot"
        self.state = root / "state"
        self.revision = 0

    @property
    def tree(self) -> BootTree:
        return BootTree(self.tftpdir, self.state)

    def apply(self, *docs: BootDoc, gone: tuple[str, ...] = ()) -> dict[str, str]:
        self.revision += 1
        changes = [Change(doc.node, doc.to_text()) for doc in docs] + [Change(node, None) for node in gone]
        return self.tree.apply(changes, self.revision)

    def verify(self, *docs: BootDoc) -> dict[str, str]:
        return self.tree.verify({doc.node: doc.to_text() for doc in docs}, self.revision)

    def files(self) -> dict[str, str]:
        return {
            str(file.relative_to(self.tftpdir)): file.read_text(encoding="utf-8")
            for file in self.tftpdir.rglob("*")
            if file.is_file()
        }

    def inodes(self) -> dict[str, tuple[int, int]]:
        """What changes when a file is written anew."""
        return {
            path: ((status := (self.tftpdir / path).stat()).st_ino, status.st_mtime_ns)
            for path in self.files()
        }

    def put(self, path: str, text: str) -> None:
        file = self.tftpdir / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        file.write_text(text, encoding="utf-8")


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def all_files(*docs: BootDoc) -> dict[str, str]:
    return {path: text for doc in docs for path, text in render(doc).items()}


def test_a_tree_is_a_keeper(rig: Rig) -> None:
    keeper: Keeper = rig.tree
    assert (keeper.revision(), list(keeper.behind(()))) == (0, [])


def test_files_are_what_the_documents_say(rig: Rig) -> None:
    assert rig.apply(N1, G2) == {}
    assert rig.files() == all_files(N1, G2)
    assert rig.tree.revision() == 1


def test_equal_files_share_one_inode_and_are_read_only(rig: Rig) -> None:
    rig.apply(N1, N2)
    assert len({inode for inode, _ in rig.inodes().values()}) == 1
    assert {file.stat().st_mode & 0o777 for file in rig.tftpdir.rglob("n?")} == {0o444}


def test_nothing_is_written_when_nothing_changes(rig: Rig) -> None:
    rig.apply(N1, G2)
    before, state = rig.inodes(), (rig.state / "boot.json").stat().st_mtime_ns
    assert rig.tree.apply([Change("n1", N1.to_text())], rig.revision) == {}
    assert rig.inodes() == before
    assert (rig.state / "boot.json").stat().st_mtime_ns == state


def test_one_change_writes_one_node(rig: Rig) -> None:
    rig.apply(N1, G2)
    before = rig.inodes()
    rig.apply(replace(N1, cmdline="debug"))
    after = rig.inodes()
    assert {path for path in after if after[path] != before[path]} == {
        "xcat/xnba/nodes/n1",
        "xcat/xnba/nodes/n1.uefi",
    }


def test_a_reader_keeps_the_file_that_it_opened(rig: Rig) -> None:
    rig.apply(N1)
    with (rig.tftpdir / "xcat/xnba/nodes/n1").open(encoding="utf-8") as file:
        begin = file.read(9)
        rig.apply(replace(N1, way=Way.LOCAL))
        assert begin + file.read() == render(N1)["xcat/xnba/nodes/n1"]


def test_a_changed_mac_moves_the_file(rig: Rig) -> None:
    rig.apply(G1)
    moved = replace(G1, macs=("52:54:00:00:00:09",))
    rig.apply(moved)
    assert rig.files() == all_files(moved)


def test_two_nodes_may_swap_their_macs(rig: Rig) -> None:
    rig.apply(G1, G2)
    swapped = (replace(G1, macs=G2.macs, cmdline="one"), replace(G2, macs=G1.macs, cmdline="two"))
    assert rig.apply(*swapped) == {}
    assert rig.files() == all_files(*swapped)


def test_the_second_node_with_one_mac_is_refused_by_name(rig: Rig) -> None:
    problems = rig.apply(G1, replace(G2, macs=G1.macs))
    assert problems == {
        "n2": "boot/grub2/grub.cfg-01-52-54-00-00-00-01 is the boot file of n1, which has this address, or "
        "had it when it was set: nodeset n1 too"
    }
    assert rig.files() == all_files(G1)
    assert list(rig.tree.behind(())) == ["n2"]
    assert rig.apply(G2) == {}
    assert list(rig.tree.behind(())) == []


def test_a_refused_node_keeps_its_files_from_others(rig: Rig) -> None:
    rig.apply(G1, G2)
    three = replace(G1, node="n3", macs=("52:54:00:00:00:03",), ip="10.0.0.3")
    rig.apply(three)
    problems = rig.apply(replace(G2, macs=three.macs), replace(G1, macs=G2.macs))
    assert set(problems) == {"n1", "n2"}
    assert rig.files() == all_files(G1, G2, three)


def test_offline_removes_all_files_of_a_node(rig: Rig) -> None:
    rig.apply(G1, N2)
    assert rig.apply(gone=("n1", "never-there")) == {}
    assert rig.files() == all_files(N2)


def test_another_loader_takes_the_files_of_the_first_away(rig: Rig) -> None:
    rig.apply(N1)
    rig.apply(replace(N1, loader=Loader.PXE))
    assert rig.files() == all_files(replace(N1, loader=Loader.PXE))


def test_foreign_files_survive_everywhere(rig: Rig) -> None:
    foreign = {
        "pxelinux.cfg/default": "mine",
        "boot/grub2/grub.cfg": "mine",
        "xcat/xnba/nodes/stranger": "mine",
        "xcat/osimage/img/kernel": "mine",
        "boot/grub2/locale/de": "mine",
    }
    for path, text in foreign.items():
        rig.put(path, text)
    rig.apply(N1, G2)
    rig.verify(N1)
    rig.apply(gone=("n1", "n2"))
    assert rig.files() == foreign


def test_a_bad_document_does_not_stop_the_others(rig: Rig) -> None:
    changes = [
        Change("n1", replace(N1, cmdline="a\nb").to_text()),
        Change("n2", N2.to_text()),
        Change("n3", "{}"),
        Change("n4", N1.to_text()),
    ]
    problems = rig.tree.apply(changes, 7)
    assert set(problems) == {"n1", "n3", "n4"}
    assert problems["n4"] == "its boot document is that of n1"
    assert rig.files() == all_files(N2)
    assert (rig.tree.revision(), list(rig.tree.behind(()))) == (7, ["n1", "n3", "n4"])


def test_a_node_that_fails_keeps_its_old_file(rig: Rig) -> None:
    rig.apply(N1)
    assert "n1" in rig.apply(replace(N1, arch="aarch64"))
    assert rig.files() == all_files(N1)


def test_a_folder_in_the_way_is_told_and_repaired_later(rig: Rig) -> None:
    (rig.tftpdir / "xcat/xnba/nodes/n1").mkdir(parents=True)
    problems = rig.apply(N1, N2)
    assert problems == {
        "n1": f"{rig.tftpdir}/xcat/xnba/nodes: Is a directory; the boot file that it had stays",
    }
    (rig.tftpdir / "xcat/xnba/nodes/n1").rmdir()
    assert rig.apply(N1) == {}
    assert rig.files() == all_files(N1, N2)


def test_verify_repairs_what_was_changed_behind_our_back(rig: Rig) -> None:
    rig.apply(N1, G2)
    rig.put("xcat/xnba/nodes/n1", "changed")
    (rig.tftpdir / "boot/grub2/n2").unlink()
    before = rig.tree.digest(["n1", "n2"])
    assert rig.verify(N1, G2) == {}
    assert rig.files() == all_files(N1, G2)
    after = rig.tree.digest(["n1", "n2"])
    assert all(before[node] != after[node] for node in before)


def test_verify_repairs_a_shared_file_that_was_written_in_place(rig: Rig) -> None:
    rig.apply(N1, N2)
    file = rig.tftpdir / "xcat/xnba/nodes/n1"
    file.chmod(0o644)
    file.write_text("changed for all", encoding="utf-8")
    assert rig.apply(replace(N1, cmdline="debug")) == {}
    rig.verify(replace(N1, cmdline="debug"), N2)
    assert rig.files() == all_files(replace(N1, cmdline="debug"), N2)


def test_a_changed_file_is_no_source_of_links(rig: Rig) -> None:
    rig.apply(N1)
    rig.put("xcat/xnba/nodes/n1", "changed")
    rig.put("xcat/xnba/nodes/n1.uefi", "changed")
    rig.apply(N2)
    assert rig.files()["xcat/xnba/nodes/n2"] == render(N2)["xcat/xnba/nodes/n2"]


def test_verify_writes_nothing_when_all_is_well(rig: Rig) -> None:
    rig.apply(N1, G2)
    before = rig.inodes()
    rig.verify(N1, G2)
    assert rig.inodes() == before


def test_a_lost_state_costs_a_comparison_only(rig: Rig) -> None:
    rig.apply(N1, G2)
    before = rig.inodes()
    (rig.state / "boot.json").write_text("{half", encoding="utf-8")
    assert rig.tree.revision() == 0
    rig.apply(N1, G2)
    assert rig.inodes() == before


def test_verify_removes_what_a_lost_state_left_behind(rig: Rig) -> None:
    rig.apply(N1, G2)
    rig.put("boot/grub2/grub.cfg", "mine")
    (rig.state / "boot.json").unlink()
    rig.verify(N1)
    assert rig.files() == all_files(N1) | {"boot/grub2/grub.cfg": "mine"}


def test_after_a_start_of_the_machine_no_file_is_trusted(rig: Rig) -> None:
    rig.apply(N1, G2)
    state = json.loads((rig.state / "boot.json").read_text(encoding="utf-8"))
    (rig.state / "boot.json").write_text(json.dumps(state | {"boot_id": "before"}), encoding="utf-8")
    rig.put("xcat/xnba/nodes/n1", "")
    assert rig.tree.revision() == 0
    rig.apply(N1, gone=("n2",))
    assert rig.files() == all_files(N1)


def test_digests_are_equal_on_two_hosts_whatever_their_history(rig: Rig, tmp_path: Path) -> None:
    other = Rig(tmp_path / "other")
    rig.apply(G1, N2)
    for doc in (N1, N2, G1):
        other.apply(doc)
    assert rig.tree.digest(["n1", "n2"]) == other.tree.digest(["n1", "n2"])
    assert rig.tree.digest(["n9"]) == {"n9": ""}


def test_a_file_has_as_many_names_as_its_disk_allows(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = {"links": 3}
    real = folder_module.os.link

    def link(*args: object, **options: object) -> None:
        if not limit["links"]:
            limit["links"] = 3
            raise OSError(31, "Too many links")
        limit["links"] -= 1
        real(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(folder_module.os, "link", link)
    docs = [replace(N1, node=f"n{number}") for number in range(20)]
    assert rig.apply(*docs) == {}
    assert rig.files() == all_files(*docs)
    assert len({inode for inode, _ in rig.inodes().values()}) > 5


def test_a_state_that_cannot_be_kept_is_told(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file", encoding="utf-8")
    with pytest.raises(RequestError, match="cannot keep the state"):
        rig.apply(N1)
    assert not rig.tftpdir.exists()


@contextmanager
def new_rig() -> Iterator[Rig]:
    with TemporaryDirectory() as root:
        yield Rig(Path(root))


NODES = st.sampled_from(["n1", "n2", "n3"])
DOCS = st.builds(
    lambda node, loader, way, mac, cmdline: replace(
        N1, node=node, loader=loader, way=way, macs=(f"52:54:00:00:00:0{mac}",), ip="", cmdline=cmdline
    ),
    NODES,
    st.sampled_from(Loader),
    st.sampled_from(Way),
    st.integers(1, 4),
    st.sampled_from(["quiet", "debug"]),
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["apply", "verify", "lose", "spoil"]), st.dictionaries(NODES, st.none() | DOCS)
    ),
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_after_any_steps_the_files_are_what_the_last_documents_say(
    steps: list[tuple[str, dict[str, BootDoc | None]]],
) -> None:
    with new_rig() as rig:
        rig.put("boot/grub2/grub.cfg", "mine")
        last: dict[str, BootDoc] = {}
        for action, told in steps:
            docs = {node: replace(doc, node=node) for node, doc in told.items() if doc}
            if action == "lose":
                (rig.state / "boot.json").unlink(missing_ok=True)
            elif action == "spoil":
                for path, text in rig.files().items():
                    if MARK in text:
                        rig.put(path, f"{MARK} spoilt")
            elif action == "apply":
                rig.apply(*docs.values(), gone=tuple(told.keys() - docs.keys()))
                last = {node: doc for node, doc in last.items() if node not in told} | docs
            else:
                last = docs
        refused = rig.verify(*last.values())
        assert not refused or len({doc.macs for doc in last.values()}) < len(last)
        rest = [doc for node, doc in last.items() if node not in refused]
        expected = {"boot/grub2/grub.cfg": "mine"} | all_files(*rest)
        assert {path: text for path, text in rig.files().items() if path in expected} == expected
        assert refused or rig.files() == expected
