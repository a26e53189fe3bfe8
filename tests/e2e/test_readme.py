"""The ten lines of the README work as they stand there, typed into a shell."""

import os
import re
import socket
import subprocess
from pathlib import Path

from drivers.freeport import free_port

CHECKOUT = Path(__file__).resolve().parents[2]
PORT = "6230"


def readme_lines() -> str:
    """The block that begins with `make venv`."""
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"```\n(make venv .*?)```", text, re.DOTALL)
    assert found, "the README has no block that begins with make venv"
    return found[1]


def test_the_lines_of_the_readme_work(tmp_path: Path) -> None:
    lines = readme_lines().replace(PORT, str(free_port(socket.SOCK_DGRAM))).splitlines()
    assert lines[0].startswith("make venv && export ")
    script = ["set -e", "trap 'kill $(jobs -p)' EXIT", lines[0].removeprefix("make venv && "), *lines[1:]]
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=CHECKOUT,
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "n200: off\n" in done.stdout
    assert re.search(r"^n200: \[sn1\]: on$", done.stdout, re.MULTILINE)
    assert "n042 in job 2" in done.stdout
