"""Lists of installation trees: read as they were written, and nothing in them leads out of the tree."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DefinitionError
from core.images.medialist import MediaFile, MediaList, from_text, is_plain, stays_inside

HASH = "a" * 64
LIST = MediaList(
    ("pool",), {"pool/a b.deb": MediaFile(1, 2, HASH), "x": MediaFile(0, 0, HASH, True)}, {"l": "."}
)
WORDS = st.sampled_from(["a", "b", "..", ".", "", "/", "c\n", "x" * 256, "\udcff"])
PATHS = st.lists(WORDS, min_size=1, max_size=6).map("/".join)


def test_a_list_is_read_as_it_was_written() -> None:
    assert from_text(LIST.to_text()) == LIST
    assert LIST.size == 1


@given(PATHS)
def test_hostile_paths_are_refused(path: str) -> None:
    names = path.split("/")
    plain = all(name not in ("", ".", "..") and name.isprintable() and len(name) < 256 for name in names)
    assert is_plain(path) == plain
    folders = ["/".join(names[:count]) for count in range(1, len(names))]
    text = json.dumps({"folders": folders, "files": {path: [1, 2, HASH, False]}, "links": {}})
    if plain:
        assert path in from_text(text).files
    else:
        with pytest.raises(DefinitionError, match="the list of an installation tree cannot be read"):
            from_text(text)


@given(st.dictionaries(st.sampled_from(["l", "a/l", "a/m", "a/b/l"]), PATHS))
def test_no_chain_of_links_leaves_the_tree(links: dict[str, str]) -> None:
    kept = {path: target for path, target in links.items() if stays_inside(path, target)}
    top = Path("/proc/self/serval")  # nothing is there, so links resolve as this test does it
    for path in kept:
        where = path.split("/")[:-1]
        for _ in range(8):  # follow the chain, name by name
            target = kept.get("/".join([*where, path.rpartition("/")[2]]))
            if target is None:
                break
            for name in target.split("/"):
                if name == "..":
                    assert where, (path, kept, os.fspath(top))
                    where.pop()
                elif name not in ("", "."):
                    where.append(name)
            path = "/".join(where)
            where = where[:-1]


@pytest.mark.parametrize(
    "told",
    [
        [],
        {"folders": [], "files": {"a/b": [1, 2, HASH, False]}, "links": {}},
        {"folders": ["a"], "files": {"a": [1, 2, HASH, False]}, "links": {}},
        {"folders": [], "files": {"l/b": [1, 2, HASH, False]}, "links": {"l": "."}},
        {"folders": [], "files": {"serval.manifest": [1, 2, HASH, False]}, "links": {}},
        {"folders": [], "files": {"a": [-1, 2, HASH, False]}, "links": {}},
        {"folders": [], "files": {"a": [True, 2, HASH, False]}, "links": {}},
        {"folders": [], "files": {"a": [1, 2, "A" * 64, False]}, "links": {}},
        {"folders": [], "files": {"a": [1, 2, HASH]}, "links": {}},
        {"folders": [], "files": {}, "links": {"l": "/etc/shadow"}},
        {"folders": [], "files": {}, "links": {"l": "../x"}},
        {"folders": [], "files": {}, "links": {"l": "a/../../x"}},
    ],
)
def test_what_no_tree_has(told: object) -> None:
    with pytest.raises(DefinitionError, match="cannot be read"):
        from_text(json.dumps(told))
