"""Timed runs of whole processes, seen from the shell, and their medians."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from bench.ways import Way
from lab.box import CHECKOUT

#: How an answer ends, whoever prints it.
ENDINGS = (b": on", b": off", b": reset", b" is on", b" is off")


class Run(NamedTuple):
    """Seconds to the last living node printed and to the end; how many living ones there were."""

    last_s: float
    end_s: float
    answers: int


@dataclass(frozen=True, slots=True)
class Median:
    """Medians of `runs` runs of one way."""

    name: str
    size: int
    runs: int
    last_s: float
    end_s: float
    least_s: float
    most_s: float


def run(way: Way, size: int, on_answer: Callable[[int], None] = lambda count: None) -> Run:
    """One run; `on_answer` is told the number of answers so far with each of them."""
    began = last = time.perf_counter()
    answers = 0
    for argv in way.asks(size):
        with subprocess.Popen(
            argv, cwd=CHECKOUT, env=way.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            for line in process.stdout:
                if line.rstrip().endswith(ENDINGS):
                    answers += 1
                    last = time.perf_counter()
                    on_answer(answers)
    return Run(last - began, time.perf_counter() - began, answers)


def measure(way: Way, size: int, runs: int, silent: int = 0) -> Median:
    """Runs of one way. Raises RuntimeError when a living BMC's answer is missing."""
    found = [run(way, size) for _ in range(runs)]
    for each in found:
        if each.answers != size - silent:
            raise RuntimeError(f"{way.name}: {each.answers} answers of {size - silent}")
    print(f"{way.name}: {size:,} in {found[-1].end_s:.2f} s", file=sys.stderr, flush=True)
    ends = [each.end_s for each in found]
    return Median(
        way.name, size, runs, median(each.last_s for each in found), median(ends), min(ends), max(ends)
    )
