"""Effective values: own rows, groups in their order, disabled rows, regexes, joins; the node source."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event

from core import regexattr
from core.errors import DefinitionError
from db.bulk import bulk_insert
from db.engine import open_engine, reading, writing
from db.lookup import FEW, Unreadable, Values, effective, own_rows, passwords, site_values
from db.nodes import DatabaseNodes
from db.tables import TABLES

Tables = Mapping[str, list[dict[str, str | None]]]


def fill(url: str, tables: Tables) -> None:
    """Replace the content of all tables."""
    with writing(open_engine(url)) as connection:
        for table in TABLES.values():
            connection.execute(delete(table))
        for name, rows in tables.items():
            for row in rows:
                bulk_insert(connection, TABLES[name], [row])


def look(url: str, *columns: str, nodes: list[str] | None = None) -> dict[str, Values]:
    """The effective values of `table.column`s."""
    wanted: dict[str, list[str]] = {}
    for one in columns:
        table, _, column = one.partition(".")
        wanted.setdefault(table, []).append(column)
    with reading(open_engine(url)) as connection:
        return effective(connection, wanted, nodes)


def test_attributes_are_found_one_by_one_in_the_order_of_the_groups(database_url: str) -> None:
    fill(
        database_url,
        {
            "nodelist": [{"node": "n1", "groups": "gA, gB"}, {"node": "n2", "groups": "gB,gA,gC"}],
            "ipmi": [
                {"node": "gA", "bmc": "a", "username": None},
                {"node": "gB", "bmc": "b", "username": "ub"},
                {"node": "gC", "bmc": "c", "password": "pc"},
                {"node": "n1", "bmc": "", "password": "own"},
            ],
        },
    )
    assert look(database_url, "ipmi.bmc", "ipmi.username", "ipmi.password") == {
        "n1": {"ipmi.bmc": "a", "ipmi.username": "ub", "ipmi.password": "own"},
        "n2": {"ipmi.bmc": "b", "ipmi.username": "ub", "ipmi.password": "pc"},
    }


def test_nodelist_is_never_inherited(database_url: str) -> None:
    fill(database_url, {"nodelist": [{"node": "n1", "groups": "g"}, {"node": "g", "status": "booted"}]})
    assert look(database_url, "nodelist.status", nodes=["n1"]) == {"n1": {}}


@pytest.mark.parametrize(
    ("disable", "seen"), [(None, True), ("0", True), ("No", True), ("", True), ("1", False), ("x", False)]
)
def test_disabled_rows_do_not_exist(database_url: str, disable: str | None, seen: bool) -> None:
    fill(
        database_url,
        {
            "nodelist": [{"node": "n1", "groups": "g"}, {"node": "n2", "groups": "g", "disable": disable}],
            "nodehm": [{"node": "n1", "mgt": "own", "disable": disable}, {"node": "g", "mgt": "group"}],
            "site": [{"key": "a", "value": "1", "disable": disable}],
            "passwd": [{"key": "ipmi", "username": "u", "password": "p", "disable": disable}],
        },
    )
    found = look(database_url, "nodehm.mgt")
    assert found["n1"] == {"nodehm.mgt": "own" if seen else "group"}
    assert ("n2" in found) is seen
    with reading(open_engine(database_url)) as connection:
        assert (site_values(connection) == {"a": "1"}) is seen
        assert (passwords(connection, "ipmi") == [("u", "p")]) is seen


def test_regexes_work_on_the_nodes_name_and_may_hide_a_value(database_url: str) -> None:
    fill(
        database_url,
        {
            "nodelist": [{"node": "rx205", "groups": "g"}, {"node": "rx7", "groups": "g"}],
            "ipmi": [
                {"node": "g", "bmc": r"|\D+(\d+)|10.1.(($1-1)/100).(($1-1)%100+1)|", "username": "ADMIN"},
                {"node": "rx7", "username": "|^.*$||"},
            ],
        },
    )
    assert look(database_url, "ipmi.bmc", "ipmi.username") == {
        "rx205": {"ipmi.bmc": "10.1.2.5", "ipmi.username": "ADMIN"},
        "rx7": {"ipmi.bmc": "10.1.0.7"},
    }


def test_a_regex_that_cannot_be_read_is_named_and_hurts_its_own_nodes_only(database_url: str) -> None:
    fill(
        database_url,
        {
            "nodelist": [{"node": "n1", "groups": "g"}, {"node": "n2", "groups": "h"}],
            "ipmi": [{"node": "g", "bmc": "|n(|x|"}, {"node": "h", "bmc": "b2"}],
        },
    )
    unreadable: Unreadable = {}
    with reading(open_engine(database_url)) as connection:
        found = effective(connection, {"ipmi": ["bmc"]}, unreadable=unreadable)
        with pytest.raises(DefinitionError):
            effective(connection, {"ipmi": ["bmc"]})
    assert found == {"n1": {"ipmi.bmc": "|n(|x|"}, "n2": {"ipmi.bmc": "b2"}}
    assert list(unreadable) == [("n1", "ipmi.bmc")]


def test_a_password_that_cannot_be_read_is_named_and_not_quoted(database_url: str) -> None:
    fill(
        database_url,
        {"nodelist": [{"node": "n1", "groups": "g"}], "ipmi": [{"node": "n1", "password": "|hunter(|x|"}]},
    )
    unreadable: Unreadable = {}
    with reading(open_engine(database_url)) as connection:
        effective(connection, {"ipmi": ["password"]}, unreadable=unreadable)
        with pytest.raises(DefinitionError) as raised:
            effective(connection, {"ipmi": ["password"]})
    said = unreadable["n1", "ipmi.password"] + raised.value.message
    assert "ipmi.password of n1" in said
    assert "hunter" not in said


def test_nextrecord_appends_and_hierarchicalattrs_joins(database_url: str) -> None:
    fill(
        database_url,
        {
            "site": [{"key": "hierarchicalattrs", "value": "postscripts,postbootscripts:|"}],
            "nodelist": [{"node": "n1", "groups": "gA,gB,gC"}],
            "postscripts": [
                {"node": "n1", "postscripts": "n1", "postbootscripts": "x"},
                {"node": "gA", "postscripts": "a1,a2", "postbootscripts": "y"},
                {"node": "gB", "postscripts": "b1,a2"},
            ],
            "nodetype": [
                {"node": "n1", "supportedarchs": "own+=NEXTRECORD", "os": "last+=NEXTRECORD"},
                {"node": "gA", "supportedarchs": ",a+=NEXTRECORD"},
                {"node": "gB", "supportedarchs": ",b"},
                {"node": "gC", "supportedarchs": ",never"},
            ],
        },
    )
    expected = {
        "postscripts.postscripts": "n1,a1,a2,b1",
        "postscripts.postbootscripts": "x|y",
        "nodetype.supportedarchs": "own,a,b",
        "nodetype.os": "last",
    }
    assert look(database_url, *expected) == {"n1": expected}


def test_two_queries_for_any_number_of_nodes(database_url: str) -> None:
    fill(database_url, {"nodehm": [{"node": "g", "mgt": "ipmi"}]})
    engine = open_engine(database_url)
    many = [f"n{i}" for i in range(FEW + 5)]
    with writing(engine) as connection:
        bulk_insert(connection, TABLES["nodelist"], [{"node": node, "groups": "g"} for node in many])
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith("BEGIN"):
            statements.append(statement)

    wanted = {"nodehm": ["mgt", "power"], "ipmi": ["bmc", "username"], "noderes": ["servicenode"]}
    with reading(engine) as connection:
        event.listen(engine, "before_cursor_execute", note)
        try:
            for nodes in (None, many[:1], many[:FEW], many):
                statements.clear()
                found = effective(connection, wanted, nodes)
                assert found == {node: {"nodehm.mgt": "ipmi"} for node in sorted(nodes or many)}
                assert len(statements) == 2
        finally:
            event.remove(engine, "before_cursor_execute", note)


NAMES = ["n1", "n2", "g1", "g2", "g3"]
VALUES = st.sampled_from([None, "", "a", "b", r"|n(\d)|x($1)|"])
ROWS = st.dictionaries(st.sampled_from(NAMES), st.tuples(VALUES, VALUES, st.sampled_from([None, "1"])))
GROUPS = st.lists(st.sampled_from(NAMES[2:]), max_size=3).map(",".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.fixed_dictionaries({"n1": GROUPS, "n2": GROUPS}), ROWS)
def test_look_ups_agree_with_the_rule_read_aloud(
    sqlite_url: str, nodes: dict[str, str], rows: dict[str, tuple[str | None, str | None, str | None]]
) -> None:
    fill(
        sqlite_url,
        {
            "nodelist": [{"node": node, "groups": groups} for node, groups in nodes.items()],
            "ipmi": [{"node": n, "bmc": r[0], "username": r[1], "disable": r[2]} for n, r in rows.items()],
        },
    )

    def rule(node: str, place: int) -> str:
        for owner in (node, *nodes[node].split(",")):
            row = rows.get(owner)
            if row and not row[2] and (value := row[place]):
                return regexattr.apply(value, node)
        return ""

    found = look(sqlite_url, "ipmi.bmc", "ipmi.username")
    for node in nodes:
        values = {key: rule(node, place) for place, key in enumerate(("ipmi.bmc", "ipmi.username"))}
        assert found[node] == {key: value for key, value in values.items() if value}


def test_rows_of_groups_are_as_written(database_url: str) -> None:
    fill(database_url, {"ipmi": [{"node": "g", "bmc": "|n|x|"}, {"node": "h", "bmc": "b"}]})
    with reading(open_engine(database_url)) as connection:
        assert own_rows(connection, {"ipmi": ["bmc"], "nodehm": []}, ["g", "none"]) == {
            "g": {"ipmi.bmc": "|n|x|"}
        }
        assert own_rows(connection, {}, ["g"]) == {}


def test_groups_of_all_kinds(database_url: str) -> None:
    fill(
        database_url,
        {
            "nodelist": [{"node": "n1", "groups": "a"}, {"node": "n2", "groups": "a,b"}, {"node": "n3"}],
            "nodetype": [{"node": "a", "os": "alma9"}, {"node": "n2", "os": "rocky9"}],
            "nodegroup": [
                {"groupname": "empty", "grouptype": "static"},
                {"groupname": "alma", "grouptype": "dynamic", "members": "dynamic", "wherevals": "os==alma9"},
                {"groupname": "blank", "grouptype": "dynamic"},
                {"groupname": "round", "membergroups": "b,square"},
                {"groupname": "square", "membergroups": "round,alma"},
            ],
            "site": [{"key": "excludenodes", "value": "n3"}],
        },
    )
    with reading(open_engine(database_url)) as connection:
        source = DatabaseNodes(connection)
        expected = {
            "a": ["n1", "n2"],
            "empty": [],
            "alma": ["n1"],
            "blank": [],
            "round": ["n2", "n1"],
            "no": None,
        }
        assert {name: source.group(name) for name in expected} == expected
        assert source.nodes() == {"n1": ["a"], "n2": ["a", "b"], "n3": []}
        assert source.values("nodetype", "os") == {"n1": "alma9", "n2": "rocky9"}
        assert source.values("nodelist", "node") == {"n1": "n1", "n2": "n2", "n3": "n3"}
        assert [source.values(*one) for one in (("site", "key"), ("nodehm", "x"), ("x", "y"))] == [None] * 3
        assert source.excluded() == "n3"
