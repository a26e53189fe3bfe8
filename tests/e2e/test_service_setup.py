"""A service node that sets its daemons up when its worker starts, and when it is told to.

The cluster has a network namespace of its own, so that the daemons may have their usual ports.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from services_rig import in_own_network

from db.home import Home, open_home
from lab.box import CHECKOUT, Box
from routing.services import runner_of


@contextmanager
def cluster() -> Iterator[Box]:
    """A management node that runs, and a service node sn1 that is defined."""
    with tempfile.TemporaryDirectory(prefix="serval-services-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        box = Box(folder, 0, sns=("sn1",))
        try:
            box.must("serval", "up")
            box.must("chdef", "-t", "site", "clustersite", "master=mn1", "sharedtftp=0")
            box.must("mkdef", "-t", "node", "-o", "sn1", "groups=service", "setuptftp=1", "setupnfs=1")
            yield box
        finally:
            for name in runner_of(home_of(box)).records.names():
                runner_of(home_of(box)).stop(name)
            box.run("serval", "down")


def home_of(box: Box) -> Home:
    return open_home({**box.environment, **own(box)})


def own(box: Box) -> dict[str, str]:
    return {"SERVAL_NAME": "sn1", "SERVAL_ROOT": str(box.folder / "root")}


@contextmanager
def worker(box: Box, *words: str) -> Iterator[None]:
    """The worker of sn1."""
    with (box.folder / "sn1.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "serval", "worker", "sn1", *words],
            cwd=CHECKOUT,
            env=box.environment | own(box),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)


def told(box: Box) -> str:
    return next((line for line in box.run("serval", "sn").lines if line.startswith("sn1 ")), "")


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@in_own_network
def test_services_come_with_the_worker_and_go_with_the_tables() -> None:
    with cluster() as box:
        runner = runner_of(home_of(box))
        with worker(box):
            wait_until(lambda: all(map(runner.running, ("dnsmasq", "nginx", "ganesha"))))
            wait_until(lambda: box.run("serval", "services", "sn1", "--check").status == 0)
            assert "2 ok" in told(box)

            first = runner.running("nginx")
            os.kill(first, signal.SIGKILL)
            wait_until(lambda: runner.running("nginx") not in (0, first))

        # The daemons outlive their worker, and a reload leaves them as they are.
        kept = runner.running("dnsmasq")
        assert kept
        box.must("chdef", "sn1", "setuptftp=0")
        with worker(box, "--reload"):
            # The management node trusts it again after a few beats.
            wait_until(lambda: "still runs" in box.run("serval", "services", "sn1", "--check").err)
            assert runner.running("dnsmasq") == kept
            assert box.must("serval", "services", "sn1").lines == ["sn1: tftpserver off, nfsserver ok"]
            assert not runner.running("dnsmasq")
            done = box.run("serval", "services", "sn1,mn1,nobody")
            assert (done.status, "nobody" in done.err) == (1, True)
