"""Sealed credentials: only the right host opens them, and nothing is told on failure."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import RequestError
from drivers.seal import make_key, open_sealed, seal

SECRET = b'{"n1": ["10.0.0.1", "ADMIN", "s3cret"]}'


def test_what_is_sealed_for_a_host_opens_there(tmp_path: Path) -> None:
    text = seal(make_key(tmp_path, "sn1"), SECRET)
    assert "s3cret" not in text
    assert open_sealed(tmp_path, "sn1", text) == SECRET


def test_two_seals_of_the_same_secret_differ(tmp_path: Path) -> None:
    public = make_key(tmp_path, "sn1")
    assert seal(public, SECRET) != seal(public, SECRET)


def test_a_key_is_made_once_and_private(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    assert make_key(folder, "sn1") == make_key(folder, "sn1")
    assert stat.S_IMODE((folder / "sn1.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [file.name for file in folder.iterdir()] == ["sn1.key"]


def test_another_host_cannot_open_it(tmp_path: Path) -> None:
    text = seal(make_key(tmp_path, "sn1"), SECRET)
    make_key(tmp_path, "sn2")
    with pytest.raises(RequestError, match="cannot be opened with the key of sn2"):
        open_sealed(tmp_path, "sn2", text)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"sn1\.key: the private key cannot be read: No such file"):
        open_sealed(tmp_path, "sn1", "AAAA")


def test_a_broken_key_file_is_named_and_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "sn1.key").write_text("c2VjcmV0")
    with pytest.raises(RequestError, match=r"sn1\.key: this is no private key") as caught:
        make_key(tmp_path, "sn1")
    assert "c2VjcmV0" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "../sn1", "/etc/passwd", "a/b", ".hidden", "sn1\n", "sn 1"])
def test_a_name_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(RequestError, match="is no host name"):
        make_key(tmp_path, name)


@pytest.mark.parametrize("public", ["", "x", "AAAA", "é", "A" * 44])
def test_a_bad_public_key_is_refused(public: str) -> None:
    with pytest.raises(RequestError, match="not a public key"):
        seal(public, SECRET)


@given(st.text(max_size=200))
def test_any_other_text_is_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.getbasetemp() / "any"
    make_key(folder, "sn1")
    with pytest.raises(RequestError, match="cannot be opened"):
        open_sealed(folder, "sn1", text)
