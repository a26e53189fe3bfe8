"""Starting the processes of `serval up`."""

import os
from pathlib import Path

from cli import cluster
from db.home import open_home

STARTS = 100


def test_a_process_is_known_from_its_first_moment(tmp_path: Path) -> None:
    home = open_home({"SERVAL_HOME": str(tmp_path)})
    home.logs.mkdir(parents=True, exist_ok=True)
    unknown = 0
    for _ in range(STARTS):
        process = cluster.start(["worker", "--help"], os.environ, home, "sn1")
        unknown += not cluster.is_worker(process.pid)
        process.kill()
        process.wait()
    assert unknown == 0
