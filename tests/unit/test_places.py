"""Where a service node's commands run: what is not known to read goes to the management node."""

import pytest

from cli.client import JOBS
from cli.entry import COMMANDS
from cli.places import HERE, MN_ALONE, is_here, refuse_mn_alone
from cli.serval import SUBCOMMANDS
from core.errors import RequestError


@pytest.mark.parametrize(
    "line",
    ["lsdef n1", "nodels", "tabdump -f x ipmi", "serval jobs -n 3", "serval why n1", "serval sn",
     "serval sn --json", "serval", "serval -h", "serval up", "serval db check", "serval --help jobs"],
)  # fmt: skip
def test_here(line: str) -> None:
    name, *argv = line.split()
    assert is_here(name, argv)


@pytest.mark.parametrize(
    "line",
    ["rpower n1 on", "chdef n1 a=b", "tabrestore x.csv", "serval cancel 3", "serval retry 3",
     "serval sn forget sn1", "serval sn --force drain sn1", "serval check", "serval nonsense",
     "newcommand n1", "rsetboot lsdef"],
)  # fmt: skip
def test_on_the_management_node(line: str) -> None:
    name, *argv = line.split()
    assert not is_here(name, argv)
    refuse_mn_alone(name, argv)


@pytest.mark.parametrize("line", ["tabedit mac", "serval import-xcat folder", "restorexCATdb -p folder"])
def test_nowhere_else(line: str) -> None:
    name, *argv = line.split()
    assert not is_here(name, argv)
    with pytest.raises(RequestError, match="on the management node alone"):
        refuse_mn_alone(name, argv)


def test_the_list_names_what_exists() -> None:
    known = {*COMMANDS, *(f"serval {word}" for word in SUBCOMMANDS)}
    assert known >= HERE | MN_ALONE.keys() | JOBS
    assert not HERE & (MN_ALONE.keys() | JOBS)
