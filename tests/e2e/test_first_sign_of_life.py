"""A service node gives its first sign of life when its Celery workers listen, not before."""

import signal
from contextlib import closing
from pathlib import Path

from rig import Rig

from drivers import leases
from lab.box import Box


def test_no_lease_before_the_workers_listen(rig: Rig) -> None:
    """Work that is sent in between would be claimed too late, and its job would end without it."""
    files = [rig.box.home / "run" / f"listens-sn1{suffix}" for suffix in ("", ".bulk")]
    with closing(leases.connect(rig.broker)) as client:
        old = leases.read_all(client)["sn1"].boot
        rig.box.signal("sn1", signal.SIGKILL)
        rig.until(lambda: not rig.box.alive("sn1"), "sn1 lives")
        for file in files:
            file.unlink()
        rig.up()

        def beats_again() -> bool:
            lease = leases.read_all(client).get("sn1")
            return lease is not None and lease.boot != old

        rig.until(beats_again, "sn1 gave no sign of life")
        assert all(file.exists() for file in files)


def test_a_service_node_that_cannot_start_keeps_nobody_down(tmp_path: Path) -> None:
    """`serval up` names it and why; the management node and the others are there."""
    box = Box(tmp_path / "box", 1)
    (box.home / "keys" / "sn2.key").mkdir(parents=True)
    try:
        done = box.run("serval", "up", "--sn", "sn1", "--sn", "sn2")
        assert done.status == 1
        assert "the worker of sn2 ended at once: " in done.err
        assert "sn2.key" in done.err
        assert box.alive("mn1")
        assert box.alive("sn1")
    finally:
        box.stop()
