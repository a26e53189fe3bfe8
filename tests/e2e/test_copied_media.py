"""copycds by real workers: copied, cancelled, and killed by kill -9 with the whole management node."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import discs
import pytest

from lab.box import Box


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """A management node alone."""
    made = Box(tmp_path / "box", 0, sns=())
    made.up()
    yield made
    made.run("serval", "down")


def test_media_are_copied_and_a_copy_that_ends_early_leaves_nothing(box: Box, tmp_path: Path) -> None:
    good = discs.debian(tmp_path / "debian", 1, "bash")
    content = b"x" * 1_234_567
    large = discs.rocky(discs.tree(tmp_path / "rocky", {"large": content}))
    discs.swollen(large, content, 3 << 30)
    install = Path(box.environment["SERVAL_ROOT"]) / "install"

    said = box.must("copycds", str(good)).out.splitlines()
    assert said[0] == "Copying media to /install/debian12/x86_64"
    assert said[-1] == "Media copy operation successful"
    assert (install / "debian12/x86_64/pool/main/bash_1_all.deb").read_text() == "bash"
    assert "debian12-x86_64-install-service" in box.must("lsdef", "-t", "osimage").out

    place = install / "rocky9.4/.build"
    first = begin(box, large, place)
    said = box.must("serval", "cancel", first).out.splitlines()
    assert said == [
        f"job {first}: 1 (mn1) cancelled; what runs of it is ended, and what it was making is removed"
    ]
    until(lambda: not place.exists())
    assert "bsdtar -xf" in box.must("serval", "log", first).out

    begin(box, large, place)
    os.killpg(box.group("mn1"), signal.SIGKILL)
    until(lambda: not working(place))
    box.must("serval", "up")
    until(lambda: not place.exists())
    assert {path.name for path in place.parent.iterdir()} == {".lock"}
    assert "rocky" not in box.must("lsdef", "-t", "osimage").out


def begin(box: Box, media: Path, place: Path) -> str:
    """Begin to copy; the job's number, when the large file is being written."""
    number = box.must("copycds", str(media), "--no-wait").out.split()[-1]
    until(lambda: (place / "new/large").exists())
    return number


def working(place: Path) -> list[str]:
    """Processes that have the folder among their words."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                words = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(place) in words:
                found.append(process.name)
    return found


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
