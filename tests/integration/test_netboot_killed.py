"""Boot files under violence: processes killed in the middle, and a disk that is full."""

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from core.bootdoc import BootDoc, Loader, Way
from core.wanted import Change
from drivers.netboot.loaders import render
from drivers.netboot.tree import BootTree

NODES = 2_000
FEW = 40
KILLS = 6


def document(number: int, generation: int) -> BootDoc:
    """Half of the nodes share their text, half have their own; the loader changes from time to time."""
    return BootDoc(
        node=f"n{number}",
        state=f"netboot img{generation}",
        way=Way.IMAGE,
        loader=Loader.GRUB2 if generation % 3 == 2 else Loader.XNBA,
        arch="x86_64",
        macs=(f"52:54:00:00:{number >> 8:02x}:{number & 255:02x}",),
        kernel="tftpboot/xcat/osimage/img/kernel",
        initrd="tftpboot/xcat/osimage/img/initrd",
        cmdline=f"generation={generation}" + (f" NODE=n{number}" if number % 2 else ""),
    )


def changes(generation: int) -> list[Change]:
    return [Change(f"n{number}", document(number, generation).to_text()) for number in range(NODES)]


def files(tftpdir: Path) -> dict[str, str]:
    return {
        str(file.relative_to(tftpdir)): file.read_text(encoding="utf-8")
        for file in tftpdir.rglob("*")
        if file.is_file() and file.name != ".serval-new"
    }


def texts(generation: int) -> dict[str, str]:
    return {
        path: text for number in range(NODES) for path, text in render(document(number, generation)).items()
    }


def environment() -> dict[str, str]:
    return {
        "PYTHONPATH": ":".join(entry for entry in sys.path if entry),
        "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
    }


CHILD = """
import sys
from pathlib import Path
from drivers.netboot.tree import BootTree
from test_netboot_killed import changes

root, generation = Path(sys.argv[1]), int(sys.argv[2])
wanted = changes(generation)
print("go", flush=True)
BootTree(root / "tftpboot", root / "state").apply(wanted, generation)
print("done", flush=True)
sys.stdin.read()
"""


@contextmanager
def applying(root: Path, generation: int) -> Iterator["subprocess.Popen[str]"]:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(root), str(generation)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "go\n"
        yield child
    finally:
        child.kill()
        child.communicate()


def test_a_process_killed_at_any_point_leaves_every_file_whole(tmp_path: Path) -> None:
    tftpdir, tree = tmp_path / "tftpboot", BootTree(tmp_path / "tftpboot", tmp_path / "state")
    tree.apply(changes(0), 0)
    allowed = [texts(0)]
    chance = random.Random(5)
    for generation in range(1, KILLS + 1):
        with applying(tmp_path, generation) as child:
            try:
                child.wait(chance.uniform(0.0, 0.25))
            except subprocess.TimeoutExpired:
                child.kill()
        allowed.append(texts(generation))
        broken = {
            path: text
            for path, text in files(tftpdir).items()
            if not any(text == told.get(path) for told in allowed)
        }
        assert not broken
    assert tree.apply(changes(0), KILLS + 1) == {}
    assert files(tftpdir) == texts(0)
    assert not (tftpdir / ".serval-new").exists()
    assert tree.revision() == KILLS + 1


def fill(disk: Path, state: Path) -> None:
    """Runs in a mount namespace of its own, where `disk` is half a megabyte."""
    tree = BootTree(disk / "tftpboot", state)
    old, new = changes(0)[:FEW], changes(1)[:FEW]
    assert tree.apply(old, 1) == {}
    before = files(disk / "tftpboot")
    with (disk / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(4096))
    problems = tree.apply(new, 2)
    assert set(problems) == set(tree.behind(())) == {change.name for change in new}
    assert set(problems.values()) == {
        f"{disk}/tftpboot/xcat/xnba/nodes: No space left on device; the boot file that it had stays"
    }
    assert files(disk / "tftpboot") == before
    (disk / "ballast").unlink()
    assert tree.apply(new, 3) == {}
    assert files(disk / "tftpboot").items() <= texts(1).items()
    assert list(tree.behind(())) == []


def test_a_full_disk_is_told_by_node_and_old_files_stay(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    script = (
        f"mount -t tmpfs -o size=512k tmpfs {disk} && "
        f"exec {sys.executable} -c 'import test_netboot_killed as t, pathlib as p; "
        f't.fill(p.Path("{disk}"), p.Path("{tmp_path}/state"))\''
    )
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_two_processes_at_once_end_with_one_of_the_two(tmp_path: Path) -> None:
    with applying(tmp_path, 3) as child:
        tree = BootTree(tmp_path / "tftpboot", tmp_path / "state")
        assert tree.apply(changes(1), 9) == {}
        assert child.stdout is not None
        assert child.stdout.readline() == "done\n"
    assert files(tmp_path / "tftpboot") in (texts(3), texts(1))
