"""The reference cluster, built by our own commands: its tables and answers are xCAT's."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from commands import Shell

from core.noderange import Expansion, expand
from db.engine import open_engine, reading
from db.nodes import DatabaseNodes

REFERENCE: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "noderange_cases.json").read_text(encoding="utf-8")
)
CASES = {case["input"]: Expansion(case["nodes"], case["missed"]) for case in REFERENCE["cases"]}
#: docs/xcat-differences.md; tests/unit/test_noderange.py holds our answers to these.
DIFFERENT = {
    "node05-node01", "^nrlist1", "node01,^nrlist1", "node01, node02", "node[01 - 03]", "node[01-02]+1",
    "compute1@-node01", "nosuchtable.col==1",
}  # fmt: skip


def build(shell: Shell) -> None:
    """Run the commands that made the reference's tables."""
    for line in REFERENCE["db_commands"]:
        answer = shell.run(line)
        assert (answer.status, answer.err) == (0, ""), (line, answer)


def rows(shell: Shell, table: str) -> list[dict[str, str]]:
    """A table as the reference writes it: only what is set."""
    dumped = shell.ok(f"tabdump {table}").removeprefix("#").splitlines()
    return [{key: value for key, value in row.items() if value} for row in csv.DictReader(dumped)]


def in_order(found: list[dict[str, str]]) -> list[list[tuple[str, str]]]:
    return sorted(sorted(row.items()) for row in found)


def test_tables_are_those_of_xcat(home_env: dict[str, str], tmp_path: Path) -> None:
    shell = Shell(home_env, tmp_path)
    build(shell)
    for table, expected in REFERENCE["db_tables"].items():
        if table != "site":  # the reference's site was there before its commands
            assert in_order(rows(shell, table)) == in_order(expected), table


def test_noderanges_are_answered_from_the_database(
    home_env: dict[str, str], tmp_path: Path, database_url: str
) -> None:
    build(Shell(home_env, tmp_path))
    with reading(open_engine(database_url)) as connection:
        source = DatabaseNodes(connection)
        answers = {text: expand(text, source) for text in CASES if text not in DIFFERENT}
    assert answers == {text: CASES[text] for text in answers}


#: The lines of section 2 of xCAT's document on hierarchical clusters, as they are written there.
DOCUMENT = """\
chdef -t node -o  sn1,sn2 groups=service,ipmi,all
chdef  -t group -o service arch=x86_64 os=fedora8 nodetype=osi profile=service
chdef  -t group -o service   setupnfs=1  setupnameserver=1 setuptftp=1
chdef  -t group -o service   setupnfs=0
chdef -t node -o sn1 setupnfs=1
chdef -t node -o sn2 setupnameserver=1
chdef -t node -o service postscripts=servicenode,xcatserver,xcatclient
chdef -t node -o compute1 servicenode=sn1 xcatmaster=sn1-c
chdef -t node -o compute2 servicenode=sn2 xcatmaster=sn2-c
chdef -t  node -o sn1,sn2  servicenode=mn1 xcatmaster=mn1
chdef -t  node -o compute1  servicenode=sn1,sn2
chdef -t  node -o compute2  servicenode=sn2,sn1
lsdef -t group -l service
lsdef -t group -l compute1
chdef -t site -o clustersite  sharedtftp=0
"""


@pytest.fixture
def documented(home_env: dict[str, str], tmp_path: Path) -> Shell:
    """The cluster that the document ends with."""
    shell = Shell(home_env, tmp_path)
    shell.ok("mkdef -t node -o blade01 groups=all,compute,compute1")
    shell.ok("mkdef -t node -o blade02 groups=all,compute,compute2")
    for line in DOCUMENT.splitlines():
        assert shell.run(line).status == 0, line
    return shell


def test_the_document_of_2009_can_be_followed(documented: Shell) -> None:
    assert rows(documented, "servicenode") == [
        {"node": "service", "nameserver": "1", "tftpserver": "1", "nfsserver": "0"},
        {"node": "sn1", "nfsserver": "1"},
        {"node": "sn2", "nameserver": "1"},
    ]
    assert documented.ok("nodels blade01,blade02,service noderes.servicenode") == (
        "blade01: sn1,sn2\nblade02: sn2,sn1\nsn1: mn1\nsn2: mn1\n"
    )
    assert rows(documented, "site") == [{"key": "sharedtftp", "value": "0"}]


def test_writing_to_a_group_as_node_says_what_was_done(documented: Shell) -> None:
    answer = documented.run("chdef -t node -o compute1 servicenode=sn1,sn2")
    assert answer.out == "1 object definitions have been created or modified.\n"
    assert "chdef -t group -o compute1" in answer.err
