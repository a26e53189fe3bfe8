"""Python programs of a user of the box: each a process of its own, as real ones are."""

import json
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from rig import Rig

from core.jobresult import JobResult, from_told

ROOT = Path(__file__).resolve().parents[2]
PRELUDE = """
import json
from celery import chain, chord, group
from celery.result import AsyncResult
from tasks.jobs import result, wait_for
from tasks.power import rpower, rsetboot

def say(found):
    print(json.dumps(found))
"""


def program(rig: Rig, text: str, timeout_s: float = 90) -> list[object]:
    """Run a program to its end; what it said, line by line."""
    done = python(rig, "-c", PRELUDE + textwrap.dedent(text), timeout_s=timeout_s)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def python(
    rig: Rig, *words: str, timeout_s: float = 90, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run Python with these words and environment variables."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**rig.box.environment, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def collect(rig: Rig, requests: Sequence[str]) -> list[JobResult]:
    """The results of these Celery tasks, as another program gets them."""
    text = f"for one in {list(requests)!r}: say(result(AsyncResult(one), 60).to_told())"
    return [from_told(told) for told in program(rig, text)]  # type: ignore[arg-type]
