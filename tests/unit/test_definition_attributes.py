"""The map of attributes and columns, and what the command lines of definitions mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.objects import printable, shown, split_words
from core.errors import DefinitionError, RequestError
from db.attributes import GROUP, NODE, Place, columns_of, places_of, value_of
from db.changes import Mode, merge
from db.checks import check_name, check_text
from db.lookup import split_list
from db.tables import TABLES


@pytest.mark.parametrize(
    ("attribute", "key"),
    [
        ("setupnfs", "servicenode.nfsserver"), ("setupnameserver", "servicenode.nameserver"),
        ("setupdhcp", "servicenode.dhcpserver"), ("dhcpinterfaces", "servicenode.dhcpinterfaces"),
        ("supportproxydhcp", "noderes.proxydhcp"), ("setupproxydhcp", "servicenode.proxydhcp"),
        ("conserver", "nodehm.conserver"), ("setupconserver", "servicenode.conserver"),
        ("tftpserver", "noderes.tftpserver"), ("nameservers", "noderes.nameservers"),
        ("usercomment", "nodelist.comments"), ("groups", "nodelist.groups"), ("os", "nodetype.os"),
    ],
)  # fmt: skip
def test_where_a_node_attribute_is_kept(attribute: str, key: str) -> None:
    assert [place.key for place in NODE[attribute]] == [key]


@pytest.mark.parametrize("attribute", ["bmc", "bmcusername", "bmcpassword", "bmcvlantag"])
def test_bmc_attributes_depend_on_mgt(attribute: str) -> None:
    assert [place.only for place in NODE[attribute]] == [
        ("nodehm.mgt", "ipmi"),
        ("nodehm.mgt", "openbmc", "redfish"),
    ]
    (column,) = {place.column for place in NODE[attribute]}
    for mgt, found in (("ipmi", "i"), ("openbmc", "o"), ("redfish", "o")):
        values = {"nodehm.mgt": mgt, f"ipmi.{column}": "i", f"openbmc.{column}": "o"}
        assert value_of(attribute, values) == found
    assert value_of(attribute, {f"ipmi.{column}": "i"}) is None


def test_every_attribute_has_a_column_and_no_column_two_attributes() -> None:
    for known in (NODE, GROUP):
        places = [place for all_places in known.values() for place in all_places]
        assert all(place.column in TABLES[place.table].c for place in places)
        assert len({place.key for place in places}) == len(places)


@pytest.mark.parametrize(
    "attribute",
    ["discoverynics", "cmdinterface", "current_osimage", "next_osimage", "bmcid", "node", "disable"],
)
def test_columns_that_no_attribute_reaches(attribute: str) -> None:
    assert attribute not in NODE


def test_groups_have_what_nodes_inherit_and_what_they_are() -> None:
    assert {"grouptype", "members", "membergroups", "wherevals", "servicenode", "usercomment"} <= set(GROUP)
    assert not {"groups", "status", "primarysn"} & set(GROUP)


def test_columns_can_be_named_directly() -> None:
    assert places_of("nodetype.os") == (Place("nodetype", "os"),)
    assert [places_of(name) for name in ("site.key", "nodetype.x", "x.y", "x", "")] == [()] * 5
    assert columns_of(["os", "bmc"]) == {
        "nodetype": ["os"], "ipmi": ["bmc"], "openbmc": ["bmc"], "nodehm": ["mgt"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "objects", "expected"),
    [
        (["n1", "a=b", "c="], None, ("n1", {"a": "b", "c": ""})),
        (["a=b=c"], "n1", ("n1", {"a": "b=c"})),
        (["mgt==ipmi", "a=b"], None, ("mgt==ipmi", {"a": "b"})),
        (["a==b"], "n1", ("n1", {"a": "=b"})),
        (["groups+=x"], "n1", ("n1", {"groups+": "x"})),
        (["a=1", "a=2"], "n1", ("n1", {"a": "2"})),
        ([], None, (None, {})),
    ],
)
def test_words_of_a_command_line(
    words: list[str], objects: str | None, expected: tuple[str | None, dict[str, str]]
) -> None:
    assert split_words(words, objects) == expected


@pytest.mark.parametrize(("words", "objects"), [(["n1", "n2"], None), (["n2"], "n1"), (["a=b", "n1"], None)])
def test_words_that_mean_nothing(words: list[str], objects: str | None) -> None:
    with pytest.raises(RequestError, match="attribute=value"):
        split_words(words, objects)


def test_passwords_are_hidden_unless_asked_for() -> None:
    values = {"bmcpassword": "secret", "bmcusername": "u"}
    assert shown(values, secrets=False) == {"bmcpassword": "********", "bmcusername": "u"}
    assert shown(values, secrets=True) == values
    assert shown({"bmcpassword": ""}, secrets=False) == {"bmcpassword": ""}


@given(st.text())
def test_nothing_printed_commands_a_terminal(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)


ITEMS = st.lists(st.text("ab1", min_size=1, max_size=3), max_size=5).map(",".join)


@given(ITEMS, ITEMS)
def test_adding_to_a_list_and_taking_away(current: str, value: str) -> None:
    added = split_list(merge(current, value, Mode.ADD))
    assert set(added) == {*split_list(current), *split_list(value)}
    assert len(set(added)) == len(added)
    assert merge(",".join(added), value, Mode.ADD) == ",".join(added)
    left = split_list(merge(current, value, Mode.REMOVE))
    assert left == [item for item in split_list(current) if item not in split_list(value)]


@pytest.mark.parametrize("name", ["n1", "n1-ib0", "__mgmtnode", "sn1.cluster.net", "f1n1", "fe80::1", "N1"])
def test_names_that_are_ones(name: str) -> None:
    check_name("node", name)


@pytest.mark.parametrize("name", ["", "-n1", "/n", "^f", "a,b", "a b", "n1\n", "n[1]", "a=b", "n" * 129, "é"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(DefinitionError):
        check_name("node", name)


@pytest.mark.parametrize("value", ["\0", "a\udc80"])
def test_text_that_cannot_be_stored(value: str) -> None:
    with pytest.raises(DefinitionError):
        check_text("os", value)
