"""lsdef -z and mkdef -z, chdef and lsdef: what was set is shown, and what is shown can be set."""

from pathlib import Path

import pytest
from commands import Shell
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli.objects import printable
from db.attributes import NODE
from db.engine import open_engine, writing
from db.tables import TABLES

#: Attributes that are only text: no lists of groups, no kinds that decide about others.
PLAIN = sorted(
    name
    for name, places in NODE.items()
    if len(places) == 1 and places[0].only is None and name not in ("groups", "mgt", "nodetype", "hidden")
)
VALUE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=12)
#: No regex values, which are shown applied, and no blanks at the ends, which stanzas of xCAT do not keep.
SHOWN = VALUE.filter(lambda text: text == text.strip() and text[0] not in "|/" and "*" not in text)
GIVEN = st.dictionaries(st.sampled_from(PLAIN), SHOWN, min_size=1, max_size=6)
slow = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def shell(home_env: dict[str, str], tmp_path: Path) -> Shell:
    """Somebody with an empty database."""
    return Shell(home_env, tmp_path)


def empty(shell: Shell) -> None:
    with writing(open_engine(shell.env["SERVAL_DATABASE"])) as connection:
        for table in TABLES.values():
            connection.execute(table.delete())


@slow
@given(GIVEN)
def test_what_was_set_is_shown(shell: Shell, given_: dict[str, str]) -> None:
    shell.ok("nodels")
    empty(shell)
    words = [f"{name}={value}" for name, value in given_.items()]
    assert shell.call("chdef", ["-t", "node", "-o", "n1", "groups=all", *words]).status == 0
    shown = shell.call("lsdef", ["n1", "-i", ",".join(given_), "--show-secrets"]).out.splitlines()
    found = dict(line[4:].split("=", 1) for line in shown[1:])
    assert found == {name: printable(value) for name, value in given_.items()}


@slow
@given(st.dictionaries(st.sampled_from(["n1", "n2", "n3"]), GIVEN, min_size=1))
def test_stanzas_come_back(shell: Shell, nodes: dict[str, dict[str, str]]) -> None:
    shell.ok("nodels")
    empty(shell)
    for node, given_ in nodes.items():
        words = [f"{name}={value}" for name, value in given_.items()]
        assert shell.call("mkdef", [node, "groups=all,x", "mgt=ipmi", "bmcpassword=p", *words]).status == 0
    stanzas = shell.ok("lsdef -z all --show-secrets")
    empty(shell)
    shell.ok("mkdef -z", stdin=stanzas)
    assert shell.ok("lsdef -z all --show-secrets") == stanzas
