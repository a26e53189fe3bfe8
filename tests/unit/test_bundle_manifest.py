"""Manifests of bundles, lists as bundles have them, and what imgcapture leaves on a node."""

import json
import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import DefinitionError
from core.images import manifest
from core.images.capture import ALWAYS, excluded, left_out
from core.images.lists import flattened
from core.images.manifest import MEMBER, Manifest, Part
from core.images.pkglist import read_pkglist

PART = Part(3, "0" * 64)
KIND = {"osvers": "debian12", "osarch": "x86_64", "profile": "compute"}
WHOLE = dict.fromkeys(("image/kernel", "image/initrd-stateless.gz", "image/rootimg.sfs"), PART)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def whole(**more: object) -> Manifest:
    return Manifest(**{"name": "x", "attributes": KIND, "files": WHOLE, **more})  # type: ignore[arg-type]


def test_a_manifest_comes_back_as_it_was() -> None:
    made = whole(postscripts={"postscripts": "a,b"}, packages={"bash": "5"}, built=1.5)
    assert manifest.from_text(made.to_text()) == made
    assert (made.root, made.size) == ("rootimg.sfs", 9)


@given(key=st.sampled_from(["", *Manifest.__dataclass_fields__]), value=VALUES)
def test_nothing_in_a_manifest_surprises(key: str, value: object) -> None:
    """It is read, or refused by name."""
    told = json.loads(whole().to_text())
    text = json.dumps({**told, key: value} if key else value)
    try:
        found = manifest.from_text(text)
    except DefinitionError:
        return
    assert found.root and all(MEMBER.fullmatch(name) for name in found.files)


@pytest.mark.parametrize("text", ["", "[" * 100_000, "{}", "null", '{"edition": 1}', b"\xff\xfe"])
def test_what_is_no_manifest(text: str | bytes) -> None:
    with pytest.raises(DefinitionError):
        manifest.from_text(text)


@given(st.from_regex(MEMBER, fullmatch=True))
def test_no_name_in_a_bundle_leads_out(name: str) -> None:
    assert posixpath.normpath(f"/x/{name}") == f"/x/{name}"
    assert name.isprintable() and not name.startswith("/")


LINES = st.sampled_from(
    [
        "bash",
        "-nano,--less",
        "@core",
        "# a comment",
        "",
        "#ENV:A=1 B='x y'#",
        "#NEW_INSTALL_LIST#",
        "vim  # why",
    ]
)


@given(st.lists(st.lists(LINES, max_size=6), min_size=1, max_size=3))
def test_a_flattened_list_says_the_same(blocks: list[list[str]]) -> None:
    """Each file includes the next, and all of them are given too."""
    files = {
        f"/l{number}": "\n".join(
            [*lines, *([f"#INCLUDE:l{number + 1}#"] if number + 1 < len(blocks) else [])]
        )
        for number, lines in enumerate(blocks)
    }
    one = flattened(files, files.__getitem__, {})
    assert "INCLUDE" not in one
    assert read_pkglist(["/f"], lambda _: one, {}) == read_pkglist(files, files.__getitem__, {})


MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
proc /proc proc rw 0 0
/dev/mapper/vg-home /home xfs rw 0 0
tank/var /var zfs rw 0 0
server:/scratch /scratch\\040dir nfs4 rw 0 0
/dev/loop3 /snap/x[1] squashfs ro 0 0
tmpfs /var/lib/mem* tmpfs rw 0 0
broken
"""


def test_what_is_mounted_from_elsewhere_stays_on_the_node() -> None:
    assert list(left_out(MOUNTS)) == [
        "./proc/*", "./scratch dir/*", "./snap/x\\[1\\]/*", "./var/lib/mem\\*/*",
    ]  # fmt: skip
    assert excluded(MOUNTS, ["./own/*"])[: len(ALWAYS)] == list(ALWAYS)
    assert excluded("overlay / overlay rw 0 0\n", ["./own/*"]) == [*ALWAYS, "./own/*"]
