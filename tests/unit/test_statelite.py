"""The rules of litefile, litetree and statelite: what becomes of rows, good ones and hostile ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DefinitionError
from core.images.statelite import Entry, Kind, Lite, lasting, place, read_lite

WORDS = {"node": "{node}", "noderes.xcatmaster": "{master}", "noderes.nfsserver": "{files}"}


def rows(*files: tuple[str, str], image: str = "ALL") -> list[dict[str, str]]:
    return [{"image": image, "file": file, "options": options} for file, options in files]


def lite(*files: tuple[str, str]) -> Lite:
    return read_lite(rows(*files), [], "img", [])


def test_entries_come_in_the_order_of_their_paths_with_what_their_options_mean() -> None:
    found = lite(
        ("/var/lib/x/", "persistent"), ("/etc/motd", "link,con"), ("/etc/a", ""), ("/etc/b", "rw, tmpfs")
    )
    assert found.entries == (
        Entry("/etc/a"),
        Entry("/etc/b"),
        Entry("/etc/motd", Kind.CON, link=True),
        Entry("/var/lib/x", Kind.PERSISTENT, folder=True),
    )
    text = "tmpfs mount /etc/a\ntmpfs mount /etc/b\ncon link /etc/motd\npersistent mount /var/lib/x\n"
    assert found.files() == {"litefile": text, "litetree": ""}


def test_the_row_of_an_image_stands_before_that_of_its_group_and_of_all() -> None:
    table = [
        *rows(("/etc/a", "persistent"), ("/etc/b", "persistent"), image="img"),
        *rows(("/etc/a", "ro"), ("/etc/c", "con"), image="grp"),
        *rows(("/etc/a", "tmpfs"), ("/etc/c", "tmpfs"), ("/etc/d", "tmpfs")),
        *rows(("/etc/e", "tmpfs"), image="another"),
    ]
    kinds = {entry.path: entry.kind for entry in read_lite(table, [], "img", ["grp"]).entries}
    assert kinds == {"/etc/a": "persistent", "/etc/b": "persistent", "/etc/c": "con", "/etc/d": "tmpfs"}
    assert lasting(table) == {"img"}
    assert lasting(rows(("/etc/a", "link,persistent"))) == {"ALL"}


@pytest.mark.parametrize(
    ("file", "options", "said"),
    [
        ("/etc/../../x", "", r"litefile ALL '/etc/\.\./\.\./x': it is an absolute path"),
        ("etc/x", "", "it is an absolute path"),
        ("/etc/x\ntmpfs mount /usr", "", "it is an absolute path"),
        ("/etc/a b", "", "it is an absolute path"),
        ("/etc/$(x)", "", "it is an absolute path"),
        ("/etc//x", "", "it is an absolute path"),
        ("", "", "it is an absolute path"),
        ("/", "", "a node needs its / as it is"),
        ("/.statelite/x", "", "a node needs its /.statelite/x as it is"),
        ("/proc/", "", "a node needs its /proc as it is"),
        ("/etc/x", "bind", "options is 'bind'; it is one of: tmpfs, rw,"),
        ("/etc/x", "tmpfs,persistent", "options is 'tmpfs,persistent'"),
        ("/etc/", "con", "con puts files together, not folders"),
    ],
)
def test_rows_that_cannot_be_are_refused_by_name(file: str, options: str, said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        lite((file, options))


@pytest.mark.parametrize("above", ["/etc/", "/etc/ssh/"])
def test_an_entry_below_another_is_refused(above: str) -> None:
    with pytest.raises(DefinitionError, match=rf"'/etc/ssh/key': it lies below {above}, which is an entry"):
        lite((above, "tmpfs"), ("/etc/ssh/key", "persistent"), ("/etc/ssh2", "tmpfs"))


def test_trees_come_by_priority_and_in_the_nodes_own_words() -> None:
    table = [
        {"priority": "10", "directory": "nas:/lite"},
        {
            "priority": "2.5",
            "image": "img",
            "directory": "$noderes.xcatmaster:/lite/$node/",
            "mntopts": "soft,ro",
        },
        {"priority": "1", "image": "another", "directory": "x:/y"},
        {"priority": "3", "directory": "/install/lite"},
    ]
    found = read_lite([], table, "img", []).files()["litetree"]
    assert found == "ro,soft {master}:/lite/{node}/\nro {files}:/install/lite\nro nas:/lite\n"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"priority": "first", "directory": "a:/b"}, "litetree priority 'first': it is a number"),
        ({"priority": "1", "directory": "a:/b/../c"}, r"litetree priority 1: directory is 'a:/b/\.\./c'"),
        ({"priority": "1", "directory": "a:/b\nc"}, "without blanks"),
        ({"priority": "1", "directory": "-o,x:/b"}, "without blanks"),
        ({"priority": "1", "directory": "b"}, "without blanks"),
        ({"priority": "1", "directory": "a:/#CMD=reboot#"}, "variables that can stand there are"),
        ({"priority": "1", "directory": "a:/$nodetype.os"}, "variables that can stand there are"),
        ({"priority": "1", "directory": "a:/b", "mntopts": "ro exec"}, "mount options are one word"),
    ],
)
def test_trees_that_cannot_be_are_refused(row: dict[str, str], said: str) -> None:
    with pytest.raises(DefinitionError, match=said):
        read_lite([], [row], "img", [])


@given(st.text(max_size=40))
def test_whatever_a_place_is_it_stays_one_word_and_inside(text: str) -> None:
    try:
        found = place(text, "statemnt", WORDS)
    except DefinitionError:
        return
    host, _, folder = found.partition(":")
    assert len(found.split()) == 1
    assert host
    assert folder.startswith("/")
    assert ".." not in folder.split("/")
    assert not set(found) & set("\"'\\`|;&<>()*?")


@given(st.text(max_size=30), st.text(max_size=12))
def test_whatever_a_row_is_its_line_has_three_words(file: str, options: str) -> None:
    try:
        found = lite((file, options))
    except DefinitionError:
        return
    (line,) = found.files()["litefile"].splitlines()
    assert len(line.split()) == 3
