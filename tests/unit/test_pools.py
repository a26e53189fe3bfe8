"""noderes.servicenode, sorted out."""

from routing.pools import sort_out

KNOWN = {"sn1", "sn2", "mn1"}


def test_members_keep_their_order_and_are_named_once() -> None:
    found = sort_out({"n1": " sn2 ,sn1,,sn2"}, KNOWN, "mn1", {})
    assert (found.of, found.hopeless, found.remarks) == ({"n1": "sn2,sn1"}, {}, [])


def test_a_node_without_a_pool_belongs_to_the_management_node() -> None:
    assert sort_out({"n1": "", "n2": " , "}, KNOWN, "mn1", {}).of == {"n1": "mn1", "n2": "mn1"}


def test_full_names_and_capitals_count() -> None:
    assert sort_out({"n1": "SN1.cluster"}, KNOWN, "mn1", {}).of == {"n1": "SN1.cluster"}


def test_strangers_are_passed_over_with_a_remark() -> None:
    found = sort_out({"n1": "old,sn1", "n2": "old,sn1"}, KNOWN, "mn1", {})
    assert found.of == {"n1": "sn1", "n2": "sn1"}
    ((sentence, nodes),) = found.remarks
    assert "old: not a service node" in sentence
    assert list(nodes) == ["n1", "n2"]


def test_the_management_node_is_no_silent_last_resort() -> None:
    found = sort_out({"n1": "old"}, KNOWN, "mn1", {})
    assert found.of == {}
    assert found.hopeless["n1"][0] == "ServiceNodeLost"


def test_an_unreadable_value_ends_its_node_alone() -> None:
    found = sort_out({"n1": "sn1", "n2": "|("}, KNOWN, "mn1", {"n2": "cannot be read"})
    assert found.of == {"n1": "sn1"}
    assert found.hopeless == {"n2": ("DefinitionError", "cannot be read")}
