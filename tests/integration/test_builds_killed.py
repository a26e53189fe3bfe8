"""kill -9 of who builds, at six points of a build and of packing: nothing half made is seen, nothing stays.

Real processes, real dnf; the packages are those of test_images_dnf.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from test_images_dnf import repositories  # noqa: F401  a fixture

from drivers.images.shelf import Shelf, sweep

CHECKOUT = Path(__file__).resolve().parents[2]
#: Builds or packs; says each step, and waits to be killed where it would go on too fast.
WORKER = """
import json, sys
from dataclasses import replace
from pathlib import Path
from test_images_dnf import recipe
from drivers.images.build import build
from drivers.images.jail import Jail
from drivers.images.pack import Wanted, pack

def tell(percent, text):
    print(text, flush=True)
    if text == asked.get("pause"):
        sys.stdin.read()

asked = json.loads(sys.argv[1])
folder = Path(asked["folder"])
with open(asked["log"], "ab") as log:
    if "pack" in asked:
        pack(folder, Wanted(), Jail(log), tell)
    else:
        made = replace(recipe(Path(asked["packages"]), "tool"), files=asked.get("files", {}))
        build(made, folder, Jail(log), tell, fresh=True)
"""
SLOW = {"usr/bin/dracut": "#!/bin/sh\nbusybox sleep 1000\n"}


class Builder:
    """`folder` is an image's."""

    def __init__(self, packages: Path, top: Path) -> None:
        self.packages, self.folder, self.log = packages, top / "image", top / "log"

    def start(self, **asked: object) -> "subprocess.Popen[str]":
        """A process that builds, or packs."""
        told = {"folder": str(self.folder), "packages": str(self.packages), "log": str(self.log), **asked}
        path = f"{CHECKOUT}{os.pathsep}{Path(__file__).parent}"
        return subprocess.Popen(
            [sys.executable, "-c", WORKER, json.dumps(told)], env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def whole(self, **asked: object) -> None:
        """Let one end by itself."""
        with self.start(**asked) as process:
            out, _ = process.communicate()
        assert process.returncode == 0, (out, self.log.read_text(errors="replace")[-2000:])

    def kill_at(self, step: str, **asked: object) -> None:
        """Kill one while the programs of this step run; with `pause`, exactly before it goes on."""
        with self.start(**asked) as process:
            assert process.stdout
            for line in process.stdout:
                if line.startswith(step):
                    break
            else:
                pytest.fail(f"it never came to {step}: {self.log.read_text(errors='replace')[-2000:]}")
            if "pause" not in asked:
                until(lambda: len(self.working()) > 1)
            process.send_signal(signal.SIGKILL)
            process.wait()
        until(lambda: not self.working())
        assert str(self.folder) not in Path("/proc/mounts").read_text()

    def working(self) -> list[str]:
        """Command lines of processes that work in the image's folder."""
        found = []
        for place in Path("/proc").iterdir():
            if place.name.isdigit():
                try:
                    words = (place / "cmdline").read_bytes()
                except OSError:
                    continue
                if os.fsencode(self.folder) in words:
                    found.append(os.fsdecode(words))
        return found

    def seen(self) -> dict[str, int | bytes]:
        """What nodes and people see: the tree by its inode, files by what is in them."""
        names = [path for path in self.folder.iterdir() if not path.name.startswith(".")]
        return {path.name: path.stat().st_ino if path.is_dir() else path.read_bytes() for path in names}


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def builder(repositories: Path, tmp_path: Path) -> Builder:  # noqa: F811
    """With an image in service that was built and packed."""
    made = Builder(repositories, tmp_path)
    made.whole()
    made.whole(pack=1)
    return made


def test_a_killed_build_leaves_the_old_image_or_the_new(builder: Builder) -> None:
    before = builder.seen()
    for step, asked in (
        ("base system", {}),
        ("packages, transaction", {}),
        ("initial RAM disk", {"files": SLOW}),
        ("putting it into service", {"pause": "putting it into service"}),
    ):
        builder.kill_at(step, **asked)
        assert builder.seen() == before, step
        assert sweep(builder.folder), step
        assert not (builder.folder / ".build").exists()
    builder.kill_at("removing what it replaces", pause="removing what it replaces")
    after = builder.seen()
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == {"rootimg", "image.json"}
    assert (builder.folder / "rootimg/boot").is_dir()
    assert sweep(builder.folder) and not sweep(builder.folder)

    (builder.folder / "rootimg/large").write_bytes(os.urandom(150 << 20))
    builder.kill_at("archive method", pack=1)
    assert builder.seen() == after
    assert sweep(builder.folder)
    (builder.folder / "rootimg/large").unlink()
    builder.whole(pack=1)
    record = Shelf(builder.folder).record()
    assert record.packed > 0 and builder.seen().keys() == before.keys()
