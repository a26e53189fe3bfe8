"""`make demo`: the main job on a cluster in a box, with a service node killed in the middle of a bulk reset.

Management node, sn1, sn2 and 200 simulated BMCs; compute1 is served by sn1,sn2 and compute2 by sn2,sn1. Exit
status 0 only when every node is accounted for, none was reset twice, and the other service node took over.
"""

import json
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from core.errors import ServalError
from core.fold import fold
from lab.box import Box

BMCS = 200
#: Slow enough that a kill falls into the middle of the reset.
LATENCY_S = 0.25
KILL_AFTER_S = 1.6
#: A killed process may leave so many resets of which nobody can say whether they were executed.
MOST_UNKNOWN = 64
KILLED_PROCESSES = 3


class Demo:
    """The demo on one box; `say` prints a line."""

    def __init__(self, box: Box, out: TextIO) -> None:
        self.box = box
        self.out = out

    def say(self, text: str) -> None:
        """A line for the person who watches."""
        self.out.write(text + "\n")
        self.out.flush()

    def shell(self, *command: str) -> None:
        """Run a command, show it and what it printed, folded."""
        self.say(f"\n$ {' '.join(command)}")
        began = time.monotonic()
        done = self.box.must(*command)
        groups: dict[str, list[str]] = {}
        for line in done.lines:
            node, _, value = line.partition(": ")
            groups.setdefault(value, []).append(node)
        for value, nodes in groups.items():
            self.say(f"{fold(nodes)}: {value}")
        self.say(f"({len(done.lines)} nodes, {time.monotonic() - began:.2f} s)")

    def run(self) -> bool:
        """The whole demo; whether all of it held."""
        self.say(f"A cluster in a box: mn1, sn1, sn2 and {BMCS} simulated BMCs …")
        self.box.start()
        self.shell("rpower", "compute", "stat")
        self.shell("rpower", "compute", "on")
        return self.reset_with_a_kill()

    def reset_with_a_kill(self) -> bool:
        """A bulk reset during which sn1 dies."""
        self.box.control.reset_counters()
        self.box.control.faults("all", latency=LATENCY_S)
        self.say(f"\n$ rpower compute reset --json      (every BMC now takes {LATENCY_S} s to answer)")
        began = time.monotonic()
        command = self.box.begin("rpower", "compute", "reset", "--json")
        time.sleep(KILL_AFTER_S)
        self.box.signal("sn1", signal.SIGKILL)
        self.say(f"  … {KILL_AFTER_S} s later: kill -9 of every process of sn1")
        out, err = command.communicate(timeout=60)
        seconds = time.monotonic() - began
        results = [json.loads(line) for line in out.splitlines()]
        self.summarise(results, err, seconds)
        return self.check(results)

    def summarise(self, results: list[dict[str, object]], err: str, seconds: float) -> None:
        """Who did what, and what nobody can know."""
        groups: dict[tuple[str, str, bool], list[str]] = {}
        for result in results:
            key = (str(result["outcome"]), str(result["sn"]), bool(result["tried"]))
            groups.setdefault(key, []).append(str(result["node"]))
        for (outcome, sn, tried), nodes in sorted(groups.items()):
            how = " (taken over)" if tried else ""
            self.say(f"  {len(nodes):4} {outcome:8} by {sn}{how}: {fold(nodes)}")
        for line in err.splitlines():
            self.say(f"  {line}")
        self.say(f"  all {len(results)} nodes accounted for after {seconds:.1f} s")
        example = next((r for r in results if r["tried"]), results[0])
        self.say(f"\n$ serval why {example['node']}")
        self.say(self.box.run("serval", "why", str(example["node"])).out)

    def check(self, results: list[dict[str, object]]) -> bool:
        """Count at the BMCs themselves."""
        executed = self.box.control.executed("reset")
        total, most = sum(executed.values()), max(executed.values())
        outcomes = Counter(str(result["outcome"]) for result in results)
        unknown, named = outcomes["unknown"], {str(result["node"]) for result in results}
        promises = [
            (f"every node has one outcome ({len(results)})", len(results) == len(named) == BMCS),
            (f"no BMC was reset twice (at most {most})", most <= 1),
            (f"every ok was executed ({total} resets)", total >= outcomes["ok"]),
            (f"few are unknown ({unknown})", unknown <= KILLED_PROCESSES * MOST_UNKNOWN),
            ("nothing else went wrong", outcomes["ok"] + unknown == BMCS),
            ("sn2 took over", any(r["sn"] == "sn2" and r["tried"] for r in results)),
        ]
        for promise, held in promises:
            self.say(f"  {'holds ' if held else 'BROKEN'}  {promise}")
        return all(held for _, held in promises)


def main(out: TextIO = sys.stdout, make: Callable[[Path], Box] = lambda folder: Box(folder, BMCS)) -> int:
    """Run the demo in a folder of its own; 0 when everything held."""
    folder = Path(tempfile.mkdtemp(prefix="serval-demo-"))
    demo = Demo(make(folder), out)
    well = False
    try:
        well = demo.run()
    except ServalError as error:
        demo.say(f"Error: {error.message}")
    finally:
        demo.box.stop()
        if well:
            shutil.rmtree(folder)
        else:
            demo.say(f"The logs are in {folder}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
