"""docs/how-to/define-a-hierarchy.md: every line of it runs, and the cluster is what it says."""

import re
import textwrap
from pathlib import Path

from commands import Shell

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "define-a-hierarchy.md"
BLOCK = re.compile(r"^ *```\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def lines() -> list[str]:
    """The commands of the page."""
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    return [line for block in blocks for line in textwrap.dedent(block).splitlines()]


def test_the_page_defines_a_hierarchy(home_env: dict[str, str], tmp_path: Path) -> None:
    shell = Shell(home_env, tmp_path)
    assert len(lines()) > 20
    for line in lines():
        shell.ok(line)
    out = shell.ok("lsdef n1,n150,sn1 -i servicenode,xcatmaster,bmc,profile,conserver,setupnfs,postscripts")
    found = {}
    for part in out.split("Object name: ")[1:]:
        name, *shown = part.splitlines()
        found[name] = dict(line.strip().split("=", 1) for line in shown)
    assert found["n1"]["servicenode"] == "sn1,sn2"
    assert found["n150"]["servicenode"] == "sn2,sn1"
    assert (found["n1"]["bmc"], found["n150"]["bmc"]) == ("10.2.0.1", "10.2.0.150")
    assert found["n150"]["conserver"] == "sn2"
    assert found["sn1"]["servicenode"] == found["sn1"]["xcatmaster"] == "mn1"
    assert found["sn1"]["setupnfs"] == "1"
    assert found["sn1"]["postscripts"] == "syslog,remoteshell,servicenode"
