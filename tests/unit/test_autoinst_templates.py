"""Templates of installers' answers: xCAT's words, jinja2, hostile values, errors with file and line."""

import json
import shlex
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.autoinst import document
from core.autoinst.mirror import mirror_of
from core.autoinst.values import plain
from core.autoinst.xcatwords import is_xcat
from core.errors import DefinitionError, NodeError, RequestError
from drivers.templates import Press

HOSTILE = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)


def press(**files: str) -> Press:
    """A press whose files are `/t/NAME`, and `/shipped/NAME` for those that begin so."""

    def read(path: str) -> str:
        name = path.removeprefix("/t/").replace("/shipped/", "shipped_").replace("/", "_")
        if name not in files:
            raise FileNotFoundError(2, "No such file or directory", path)
        return files[name]

    return Press(read, "/shipped")


def render(text: str, **values: Any) -> str:
    return press(a=text).render("/t/a", values)


def cell(table: str, key: str, column: str, default: str = "-") -> str:
    return f"{table}/{key}/{column}/{default}"


WORDS: dict[str, Callable[..., str]] = {
    "table": cell,
    "crypt": lambda *words: "hash",
    "env": lambda name: f"/env/{name}",
    "xcatvar": lambda name: f"xcat-{name}",
    "pkglist": lambda *files: ",".join(("packages", *files)),
}


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("a #TABLE:noderes:THISNODE:xcatmaster# b", "a noderes/THISNODE/xcatmaster/- b"),
        ("#TABLEBLANKOKAY:site:key=a:value#", "site/key=a/value/"),
        ("#TABLE:site:key=a:b:value#", "site/key=a:b/value/-"),
        ("#XCATVAR:XCATMASTER#", "xcat-XCATMASTER"),
        ("#ENV:PATH##ENV:HOME#", "/env/PATH/env/HOME"),
        ("#CRYPT:passwd:key=system,username=root:password#", "hash"),
        ("#INCLUDE_DEFAULT_PKGLIST#", "packages"),
        ("#INCLUDE_PKGLIST:#ENV:X#/a.pkglist#", "packages,/env/X/a.pkglist"),
        ("#HOSTNAME#: ${#list} {{ x }} {% y %} {#", "n1: ${#list} {{ x }} {% y %} {#"),
        ("{#HOSTNAME#}", "{n1}"),
        ("#!/bin/sh\n# a comment # and #HOSTNAME#\n", "#!/bin/sh\n# a comment # and n1\n"),
    ],
)
def test_words_of_xcat(text: str, becomes: str) -> None:
    assert render(text, node="n1", **WORDS) == becomes


@given(HOSTILE.filter(lambda text: "\r" not in text and not is_xcat(text)))
def test_text_around_a_word_of_xcat_stays(text: str) -> None:
    """Whatever braces there are; a line break of DOS is the only thing that changes."""
    if not is_xcat(f"{text}\n"):
        assert render(f"{text}\n#HOSTNAME#\n{text}", node="n1") == f"{text}\nn1\n{text}"


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("#COMMAND:rm -rf /#", "no command is run"),
        ("#INCLUDE_DEFAULT_PTRNLIST#", "not known"),
        ("#TABLE:noderes:xcatmaster#", "TABLE:KEY:COLUMN"),
        ("#INCLUDE:#", "names no file"),
        ("#XCATVAR:a b#", "NAME"),
    ],
)
def test_what_is_not_done_names_its_line(word: str, why: str) -> None:
    with pytest.raises(DefinitionError, match=rf"^/t/a, line 2: .*{why}"):
        render(f"one\n{word}\n", **WORDS)


def test_included_files_are_judged_one_by_one() -> None:
    made = press(a="{% include 'b' %}", b="{% node %}")
    with pytest.raises(DefinitionError, match=r"^/t/b, line 1: "):
        made.render("/t/a", {"node": "n1"})
    made = press(a="#INCLUDE:b#|#INCLUDE:c#|{{ }}", b="${#x} {{ node }}", shipped_c="#HOSTNAME# {{")
    assert made.render("/t/a", {"node": "n1"}) == "${#x} {{ node }}|n1 {{|{{ }}"
    made = press(a="{% include 'b' %}|{% include 'c' %}", b="{{ node }}", c="#HOSTNAME# {{")
    assert made.render("/t/a", {"node": "n1"}) == "n1|n1 {{"


def test_a_site_replaces_blocks_of_what_is_shipped() -> None:
    made = press(
        a='{% extends "rh/base" %}{% block disk %}{{ super() }}more "\n{% endblock %}',
        shipped_rh_base="first\n{% block disk %}part\nhome\n{% endblock %}{{ node }}\n",
    )
    assert made.render("/t/a", {"node": "n1"}) == 'first\npart\nhome\nmore "\nn1\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ok\n\n{{ nothing }}\n", "/t/a, line 3: 'nothing' is undefined"),
        ("ok\n{% if %}\n", "/t/a, line 2: "),
        ("ok\n{% include 'gone' %}", "/t/a, line 2: /shipped/gone cannot be read"),
        ("{% include 'a' %}", "include one another"),
        ("\n{{ 1 // 0 }}", "/t/a, line 2: "),
        ("{{ ''.__class__.__mro__ }}", "/t/a, line 1: access to attribute"),
        ("\n{{ 'a\nb' }}", "/t/a, line 2: a value holds a line break"),
    ],
)
def test_errors_name_file_and_line(text: str, said: str) -> None:
    with pytest.raises(DefinitionError) as error:
        render(text)
    assert said in error.value.message


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(DefinitionError, match="/t/gone cannot be read: No such file"):
        press().render("/t/gone", {})


@given(HOSTILE)
def test_a_value_never_becomes_another_line_or_word(value: str) -> None:
    template = "d-i a/b string {{ value }}\nd-i c/d string x\n"
    try:
        made = render(template, value=value)
    except DefinitionError as error:
        assert error.message.startswith("/t/a, line 1: ")
        return
    assert made.split("\n") == [f"d-i a/b string {value}", "d-i c/d string x", ""]
    assert len(made.splitlines()) == 2 and not set(value) & set("\"'`\\$")


@given(HOSTILE)
def test_a_value_of_a_word_of_xcat_is_looked_at_as_well(value: str) -> None:
    try:
        made = render("#TABLE:a:b:c#", table=lambda *words: value)
    except DefinitionError:
        return
    assert made == value == str(plain(value)) and len(made.splitlines()) <= 1


@given(HOSTILE)
def test_quoted_values_come_back_as_they_were(value: str) -> None:
    assert json.loads(render("{{ value | json }}", value=value)) == value
    try:
        made = render("rootpw {{ value | shell }}", value=value)
    except DefinitionError:
        assert not value.isprintable()
        return
    assert shlex.split(made) == ["rootpw", value] and "\n" not in made


def test_a_refused_value_is_not_shown() -> None:
    with pytest.raises(DefinitionError) as error:
        render("{{ value }}", value="hunter2'")
    assert "hunter2" not in error.value.message


def test_documents() -> None:
    made = document.answers("debian", "n1", "d-i x\n")
    assert document.written("n1", made.to_text()) == {"n1": "d-i x\n"}
    cloud = document.answers("ubuntu", "n1", "#cloud-config\nautoinstall: {}\n")
    assert set(document.written("n1", cloud.to_text())) == {"nocloud/n1/user-data", "nocloud/n1/meta-data"}
    with pytest.raises(NodeError, match="cloud-config"):
        document.answers("ubuntu", "n1", "autoinstall: {}\n")
    with pytest.raises(NodeError, match="nocloud"):
        document.answers("redhat", "nocloud", "text\n")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"node": "n1", "files": {"n1": 1}}', '{"node":"n1","files":[]}']
)
def test_what_is_no_document(text: str) -> None:
    with pytest.raises(RequestError):
        document.written("n1", text)


@pytest.mark.parametrize("path", ["n2", "../n1", "/etc/passwd", "nocloud/n1/other", "n1/x"])
def test_a_document_writes_files_of_its_node_alone(path: str) -> None:
    told = json.dumps({"node": "n1", "files": {path: "x"}})
    with pytest.raises(NodeError, match="not its own"):
        document.written("n1", told)


def test_mirrors() -> None:
    tree = "http://@SERVAL_SERVER@:80/install/debian12/x86_64"
    served = mirror_of("/install/debian12/x86_64", tree)
    assert (served["host"], served["directory"]) == ("@SERVAL_SERVER@:80", "/install/debian12/x86_64")
    assert not served["signed"]
    named = mirror_of("/install/debian12/x86_64,http://mirror:8000/debian bookworm main", tree)
    assert named["host"] == "mirror:8000" and named["suite"] == "bookworm" and named["signed"]
    with pytest.raises(DefinitionError, match="URL SUITE"):
        mirror_of("http://a/b'c bookworm main", tree)
