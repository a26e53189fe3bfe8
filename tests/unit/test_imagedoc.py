"""Documents of images: what a service node may be told, and how copies stand to what is wanted."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import RequestError
from core.imagedoc import Copy, ImageDoc, ImageFile, Stand, failed, from_text

DOC = ImageDoc(
    "compute",
    "install/netboot/debian12/x86_64/compute",
    (ImageFile("kernel", 5, "a" * 64, 1), ImageFile("rootimg.sfs", 7, "b" * 64, 2)),
)
NAMES = st.from_regex(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,20}", fullmatch=True)
FILES = st.builds(
    ImageFile,
    NAMES,
    st.integers(0, 1 << 50),
    st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
    st.integers(0, 1 << 62),
)


@given(NAMES, st.lists(NAMES, min_size=1), st.lists(FILES), st.floats(0, 1e10))
def test_a_document_is_read_as_it_was_written(
    image: str, folders: list[str], files: list[ImageFile], asked: float
) -> None:
    doc = ImageDoc(image, "/".join(["install", *folders]), tuple(files), asked)
    assert from_text(doc.to_text()) == doc
    assert doc.version == replace(doc, image="other", asked=1.0).version


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("folder", "install"),
        ("folder", "etc/passwd"),
        ("folder", "install/../etc"),
        ("folder", "install/netboot//x"),
        ("folder", "/install/x"),
        ("folder", "install/x\n"),
        ("files", [{"name": "../shadow", "size": 1, "sha256": "a" * 64}]),
        ("files", [{"name": ".fetch", "size": 1, "sha256": "a" * 64}]),
        ("files", [{"name": "", "size": 1, "sha256": "a" * 64}]),
        ("files", [{"name": "kernel", "size": -1, "sha256": "a" * 64}]),
        ("files", [{"name": "kernel", "size": 1, "sha256": "A" * 64}]),
        ("files", [{"name": "kernel", "size": 1, "sha256": "a" * 64, "mode": 7}]),
        ("files", "kernel"),
        ("asked", "soon"),
    ],
)
def test_what_leads_out_of_installdir_is_no_document(key: str, value: object) -> None:
    told = json.loads(DOC.to_text()) | {key: value}
    with pytest.raises(RequestError, match="the document of an image cannot be read"):
        from_text(json.dumps(told))


def test_a_version_is_what_nodes_boot() -> None:
    kernel, root = DOC.files
    same = [replace(DOC, files=(root, kernel)), replace(DOC, files=(replace(kernel, mtime_ns=9), root))]
    assert {one.version for one in same} == {DOC.version}
    others = [
        replace(DOC, folder="install/other"),
        replace(DOC, files=(kernel,)),
        replace(DOC, files=(replace(kernel, sha256="c" * 64), root)),
    ]
    assert len({DOC.version, *(one.version for one in others)}) == 4


def test_how_a_copy_stands() -> None:
    nobody = Copy("compute", "sn1")
    old = replace(nobody, version="old")
    coming = replace(old, coming="new", percent=43)
    full = replace(coming, problem="the disk is full")
    found = [one.brief("new") for one in (nobody, old, coming, full, replace(full, version="new"))]
    assert found == ["none", "behind", "fetching 43 %", "failed: the disk is full", "current"]
    assert full.stand("newer") is Stand.BEHIND


def test_who_failed_since_somebody_asked() -> None:
    one = Copy("compute", "sn1", coming=DOC.version, problem="full", at=10.0)
    copies = {"sn1": one, "sn2": replace(one, sn="sn2", at=20.0), "sn3": replace(one, problem="")}
    assert failed(["sn1", "sn2", "sn3", "sn4"], copies, replace(DOC, asked=5.0)) == ["sn1", "sn2"]
    assert failed(["sn1", "sn2"], copies, replace(DOC, asked=15.0)) == ["sn2"]
    assert failed(["sn3"], copies, DOC) == []
