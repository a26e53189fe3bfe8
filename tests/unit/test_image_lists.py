"""Package lists, exclude lists and where they are found: every directive, and what is wrong with them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DefinitionError
from core.images.exlist import Excludes, read_exlist
from core.images.lists import read_lines
from core.images.pkglist import Transaction, read_pkglist
from core.images.sources import Kind, find, listed, scripts

TOP = "/install/custom/netboot/debian"


def reader(files: dict[str, str]):
    def read(path: str) -> str:
        try:
            return files[path]
        except KeyError:
            raise FileNotFoundError(2, "No such file or directory") from None

    return read


def packages(text: str, *, other: bool = False, **files: str) -> tuple[Transaction, ...]:
    known = {f"{TOP}/a": text} | {f"{TOP}/{name}": content for name, content in files.items()}
    return read_pkglist([f"{TOP}/a"], reader(known), {"ARCH": "x86_64"}, other=other)


def words(found: Transaction) -> tuple[list[str], list[str], list[str]]:
    return tuple([one.name for one in part] for part in (found.before, found.install, found.after))  # type: ignore[return-value]


def test_every_kind_of_entry() -> None:
    (one,) = packages("# heading\n\nbash, -nano,--perl\n@core\nssh # remark\nbash\n")
    assert words(one) == (["nano"], ["bash", "@core", "ssh"], ["perl"])


def test_transactions_with_their_environments() -> None:
    first, second = packages('#ENV:A=1 B="2 3"#\none\n#NEW_INSTALL_LIST#\n#NEW_INSTALL_LIST#\ntwo\n')
    assert (first.environment, words(first)[1]) == ({"A": "1", "B": "2 3"}, ["one"])
    assert (second.environment, words(second)[1]) == ({}, ["two"])


def test_included_files_are_relative_to_the_one_that_names_them() -> None:
    (one,) = packages(
        "#INCLUDE:sub/b.$ARCH#\nlast", **{"sub/b.x86_64": "#INCLUDE:../c#\nmiddle", "c": "first"}
    )
    assert words(one)[1] == ["first", "middle", "last"]


def test_a_file_may_be_included_twice_but_not_by_itself() -> None:
    (one,) = packages("#INCLUDE:b#\n#INCLUDE:b#", b="x")
    assert words(one)[1] == ["x"]
    with pytest.raises(DefinitionError, match=re.escape(f"{TOP}/b, line 2: the files include one another")):
        packages("#INCLUDE:b#", b="x\n#INCLUDE:a#")


def test_folders_of_repositories_in_otherpkgs() -> None:
    (one,) = packages("xcat/xcat-core/xCATsn\n-OpenIPMI-tools\nplain", other=True)
    assert [(e.folder, e.name) for e in one.install] == [("xcat/xcat-core", "xCATsn"), ("", "plain")]
    assert words(one)[0] == ["OpenIPMI-tools"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ok\n#INCLUDE:b", "line 2: #INCLUDE:b must end with #"),
        ("#INCLUDE:#", "line 1: #INCLUDE:# names no file"),
        ("#INCLUDE:none#", "none cannot be read: No such file"),
        ("#INCLUDE:$HOME/x#", r"\$HOME is not known; known are ARCH"),
        ("#ENV:A#", "line 1: #ENV: 'A' is not NAME=VALUE"),
        ("#ENV:A='1#", "line 1: #ENV: No closing quotation"),
        ("#NEW_INSTALL_LIST", "must end with #"),
        ("#ENV:A=1# bash", "nothing may follow"),
        ("bash;reboot", "line 1: 'bash;reboot' is no name of a package"),
        ("a,---force", "is no name of a package"),
        ("a/b", "is no name of a package"),
        ("@$(reboot)", "is no name of a group"),
    ],
)
def test_errors_name_file_and_line(text: str, said: str) -> None:
    with pytest.raises(DefinitionError, match=said) as caught:
        packages(text)
    assert f"{TOP}/a, line" in caught.value.message


@pytest.mark.parametrize("text", ["../x/pkg", "/etc/pkg", "a//pkg", "-a/pkg"])
def test_repositories_stay_below_otherpkgdir(text: str) -> None:
    with pytest.raises(DefinitionError, match="folder stands before"):
        packages(text, other=True)


def test_a_list_that_is_not_there_is_named() -> None:
    with pytest.raises(DefinitionError, match=r"^/no cannot be read: No such file or directory$"):
        list(read_lines("/no", reader({}), {}))


names = st.from_regex(r"[a-z][a-z0-9.+-]{0,8}", fullmatch=True)
entries = st.tuples(st.sampled_from(["", "-", "--"]), names)
lines = st.lists(entries, min_size=1, max_size=3)
blocks = st.lists(st.lists(lines, max_size=4), min_size=1, max_size=3)


@given(blocks, st.integers(0, 20), st.sampled_from([",", " , ", ",,"]))
def test_lists_say_the_same_however_they_are_divided_into_files(
    found: list[list[list[tuple[str, str]]]], cut: int, comma: str
) -> None:
    block_texts = ["\n".join(comma.join(d + n for d, n in line) for line in block) for block in found]
    text = "\n#NEW_INSTALL_LIST#\n".join(block_texts).split("\n")
    divided = "\n".join([*text[:cut], "#INCLUDE:rest#"])
    whole = packages("\n".join(text))
    assert packages(divided, rest="\n".join(text[cut:])) == whole
    expected = [
        tuple(
            list(dict.fromkeys(n for line in block for d, n in line if d == dash)) for dash in ("-", "", "--")
        )
        for block in found
        if block
    ]
    assert [words(one) for one in whole] == expected


@given(st.text(max_size=60))
def test_any_text_is_a_list_or_an_error_that_names_its_line(text: str) -> None:
    try:
        found = packages(text)
    except DefinitionError as error:
        assert f"{TOP}/" in error.message
    else:
        assert all(
            not one.name.startswith("-") and one.name.isprintable() for t in found for one in t.entries
        )


def excludes(text: str) -> Excludes:
    return read_exlist(["/l"], reader({"/l": text}), {})


def test_excluding_and_keeping() -> None:
    paths = [
        "./usr",
        "./usr/share",
        "./usr/share/doc",
        "./usr/share/doc/a",
        "./usr/share/doc/b",
        "./usr/share/x",
    ]
    assert list(excludes("./usr/share/doc*\n").kept(paths)) == ["./usr", "./usr/share", "./usr/share/x"]
    kept = list(excludes("-./usr/share/doc*\n+./usr/share/doc/b\n").kept(paths))
    assert kept == ["./usr", "./usr/share", "./usr/share/doc", "./usr/share/doc/b", "./usr/share/x"]
    assert list(Excludes().kept(paths)) == paths


@pytest.mark.parametrize("text", ["usr/share", "+", "-", "../x", "./"])
def test_patterns_that_are_none(text: str) -> None:
    with pytest.raises(DefinitionError, match=r"^/l, line 1: .* is no pattern"):
        excludes(text)


def test_the_order_of_files() -> None:
    kind = Kind("rocky9.4", "x86_64", "compute")
    assert list(kind.names("pkglist")) == [
        "compute.rocky9.4.x86_64.pkglist",
        "compute.rocky9.x86_64.pkglist",
        "compute.x86_64.pkglist",
        "compute.rocky9.4.pkglist",
        "compute.rocky9.pkglist",
        "compute.pkglist",
    ]
    shipped, own = "/s/rocky/compute.rocky9.4.x86_64.pkglist", "/c/rocky/compute.pkglist"
    assert find(kind, "pkglist", ("/c", "/s"), {shipped, own}.__contains__) == own
    assert find(kind, "pkglist", ("/c", "/s"), {shipped}.__contains__) == shipped
    assert find(kind, "exlist", ("/c", "/s"), {shipped}.__contains__) is None


@pytest.mark.parametrize(
    ("osvers", "folder"),
    [("debian12", "debian"), ("ubuntu24.04", "ubuntu"), ("rhels9.4", "rh"), ("fedora8", "fedora")],
)
def test_distributions_and_names(osvers: str, folder: str) -> None:
    kind = Kind(osvers, "x86_64", "service")
    assert (kind.distribution, kind.image_name()) == (folder, f"{osvers}-x86_64-netboot-service")


@pytest.mark.parametrize("value", ["", "../x", "a b", "a/b", "a\nb"])
def test_what_cannot_stand_in_paths(value: str) -> None:
    with pytest.raises(DefinitionError, match="profile"):
        Kind("debian12", "x86_64", value)


def test_files_and_scripts_of_attributes() -> None:
    assert listed("/a, /b,", "pkglist") == ("/a", "/b")
    assert scripts("/a/s x 'y z', /b", "postinstall") == (("/a/s", "x", "y z"), ("/b",))
    for wrong in ("a", "/a/../b", "/a\nb"):
        with pytest.raises(DefinitionError, match="pkglist"):
            listed(wrong, "pkglist")
    with pytest.raises(DefinitionError, match="No closing quotation"):
        scripts("/a 'b", "postinstall")
