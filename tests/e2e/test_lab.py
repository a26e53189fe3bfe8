"""The laboratory in its small form: a node really boots from its pool; and nothing is left of any run."""

import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.__main__ import Kind, run
from lab.namespaces import RECORDS, namespaces, started_at, sweep

PATIENCE_S = 60
#: Makes a run as a process of its own, with a program on a host of it, and says when it stands.
STRANDED = """
import signal, sys, time
from pathlib import Path
from lab.namespaces import namespaces
signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts the tests may have it ignored
with namespaces(Path(sys.argv[1])) as made:
    made.add("sn1")
    made.bridge("prov")
    made.plug("sn1", "prov", "10.20.0.11/24")
    Path(sys.argv[1]).mkdir()
    pid = made.spawn("sn1", ["sleep", "1000"], Path(sys.argv[1]) / "log")
    print(made.run, pid, flush=True)
    time.sleep(1000)
"""


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """Whatever a test does, this host's own network stays as it is."""
    before = links()
    yield
    assert links() == before


def links() -> set[str]:
    told = subprocess.run(["ip", "-j", "address"], capture_output=True, check=True)
    return {link["ifname"] for link in json.loads(told.stdout)}


def traces(run_name: str) -> list[str]:
    """Everything that is there of a run."""
    spaces = [file.name for file in Path("/run/netns").glob(f"{run_name}*")]
    return spaces + [file.name for file in RECORDS.glob(f"*{run_name}*")]


def stranded(folder: Path) -> tuple[subprocess.Popen[str], str, int]:
    """A process with a run; its name, and the process on its host."""
    command = [sys.executable, "-c", STRANDED, str(folder)]
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    name, pid = owner.stdout.readline().split()
    return owner, name, int(pid)


def test_a_node_boots_from_its_first_service_node_and_when_that_is_dead_from_the_next() -> None:
    said = io.StringIO()
    run(Kind(), out=said)
    stages = said.getvalue()
    assert "booted from sn1" in stages
    assert "booted from sn2" in stages


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    owner, name, pid = stranded(tmp_path / "run")
    assert len(traces(name)) == 3
    owner.send_signal(signal.SIGINT)
    owner.communicate(timeout=PATIENCE_S)
    assert traces(name) == []
    assert not started_at(pid)
    assert not (tmp_path / "run").exists()


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path: Path) -> None:
    owner, name, pid = stranded(tmp_path / "run")
    owner.kill()
    owner.communicate(timeout=PATIENCE_S)
    assert started_at(pid)
    with namespaces(tmp_path / "living") as living:
        assert name in sweep()
        assert traces(name) == []
        assert not started_at(pid)
        assert traces(living.run), "a run whose process lives is nobody else's to remove"


def test_what_is_kept_stays_until_it_is_removed_by_hand(tmp_path: Path) -> None:
    with namespaces(tmp_path / "run") as made:
        made.keep()
    assert made.run not in sweep()
    assert traces(made.run)
    made.remove()
    assert traces(made.run) == []
