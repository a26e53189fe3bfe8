"""Stanza files: what is written can be read again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import stanza
from core.errors import DefinitionError
from core.stanza import Stanza

NAME = st.text("abcXYZ019_.-", min_size=1, max_size=12).filter(lambda name: not name.startswith("default-"))
VALUE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=20)
ATTRIBUTES = st.dictionaries(NAME.filter(lambda name: name != "objtype"), VALUE, max_size=5)


@given(st.dictionaries(NAME, st.tuples(st.sampled_from(["node", "group", "site"]), ATTRIBUTES), max_size=5))
def test_what_is_written_is_read(objects: dict[str, tuple[str, dict[str, str]]]) -> None:
    lines = [stanza.HEADER]
    for name, (objtype, attributes) in objects.items():
        lines += stanza.lines(name, objtype, attributes)
    assert stanza.parse("\n".join(lines)) == [
        Stanza(name, objtype, attributes) for name, (objtype, attributes) in objects.items()
    ]


def test_comments_blanks_quotes_and_equals_signs() -> None:
    text = '# c\n\n n1:\n\t# c\n  objtype = node\n  a = "x y"\n  b=\'"\'\n  c=a=b\n  d="\n  e=\n'
    assert stanza.parse(text) == [Stanza("n1", "node", {"a": "x y", "b": '"', "c": "a=b", "d": '"', "e": ""})]


def test_an_object_is_defined_once() -> None:
    with pytest.raises(DefinitionError, match=r"Line 4 of the stanzas: 'n1' is defined in line 1 already"):
        stanza.parse("n1:\n x=1\n\nn1:\n objtype=node\n")
    assert len(stanza.parse("n1:\n x=1\n\nn1:\n objtype=group\n")) == 2


@given(st.text("n1:=# \n\t'\"objtype", max_size=40))
def test_nonsense_is_read_or_named(text: str) -> None:
    try:
        stanza.parse(text)
    except DefinitionError as error:
        assert error.message.startswith("Line ")


def test_defaults_hold_for_the_objects_that_follow() -> None:
    text = "a:\n x=1\ndefault-node:\n x=2\n y=2\nb:\n y=3\ng:\n objtype=group\n"
    assert stanza.parse(text) == [
        Stanza("a", "", {"x": "1"}),
        Stanza("b", "", {"x": "2", "y": "3"}),
        Stanza("g", "group", {}),
    ]


@pytest.mark.parametrize("text", ["x=1", "n1:\nnonsense", "n1", "n1:\n  objtype"])
def test_what_is_no_stanza_names_its_line(text: str) -> None:
    with pytest.raises(DefinitionError, match=f"Line {text.count(chr(10)) + 1} "):
        stanza.parse(text)
