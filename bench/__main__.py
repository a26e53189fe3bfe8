"""`make bench`: Serval's speed and cost beside other ways, printed and in docs/benchmarks.md.

    python -m bench [power] [silent] [kill] [cost] [provision] [images] [huge] [--bmcs N]

Without names all but `huge`, which makes 100,000 BMCs. Sections that are not measured keep what was measured
last.
"""

import argparse
from collections.abc import Callable
from functools import partial

from bench import cost, images, lost, page, power, provision, silent
from bench.cluster import Cluster, cluster

#: Section → its heading and what measures it in the one cluster on PostgreSQL.
SECTIONS: dict[str, tuple[str, Callable[[Cluster], str]]] = {
    "power": ("Power state from the shell", power.compare),
    "silent": ("Slow and silent BMCs", silent.compare),
    "kill": ("A service node is killed", lost.compare),
    "cost": ("CPU and memory for all BMCs", cost.compare),
    "provision": ("nodeset and makedhcp", provision.compare),
    "images": ("genimage and packimage", images.compare),
}
HUGE = "A hundred thousand BMCs"


def main() -> None:
    """Measure, print, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, "huge", []], help="what to measure")
    parser.add_argument("--bmcs", type=int, default=10_000, help="most BMCs of all sections but huge")
    options = parser.parse_args()
    chosen = options.sections or list(SECTIONS)
    if set(chosen) & set(SECTIONS):
        with cluster("PostgreSQL", options.bmcs) as postgres:
            for name in chosen:
                if name in SECTIONS:
                    heading, compare = SECTIONS[name]
                    publish(heading, partial(compare, postgres))
    if "huge" in chosen:
        publish(HUGE, power.huge)


def publish(heading: str, compare: Callable[[], str]) -> None:
    """Measure a section, print it and write it."""
    machine = page.machine()
    text = f"{machine} {compare()}"
    print(f"{heading}\n\n{text}\n", flush=True)
    page.write(heading, text)


if __name__ == "__main__":
    main()
