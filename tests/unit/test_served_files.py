"""The files that nodes boot, on a disk."""

from pathlib import Path

import pytest

from core.errors import RequestError
from core.nodeset.files import Files
from drivers.servedfiles import first_complete, link_install

CANDIDATES = (
    Files("install/x/kernel", "install/x/initrd", "install/x/a"),
    Files("install/x/kernel", "install/x/initrd", "install/x/b"),
)


def test_the_first_candidate_that_is_whole_counts(tmp_path: Path) -> None:
    folders = {"install": tmp_path / "install"}
    assert first_complete(CANDIDATES, folders) == CANDIDATES[0]
    (tmp_path / "install" / "x").mkdir(parents=True)
    assert first_complete(CANDIDATES, folders) is None
    for name in ("kernel", "initrd", "b"):
        (tmp_path / "install" / "x" / name).touch()
    assert first_complete(CANDIDATES, folders) == CANDIDATES[1]


def test_tftp_reaches_images_by_a_link_that_replaces_nothing(tmp_path: Path) -> None:
    tftpdir, installdir = tmp_path / "tftpboot", tmp_path / "install"
    tftpdir.mkdir()
    link_install(tftpdir, installdir)
    link_install(tftpdir, tmp_path / "elsewhere")
    assert (tftpdir / "install").readlink() == installdir
    (tftpdir / "install").unlink()
    (tftpdir / "install").mkdir()
    link_install(tftpdir, installdir)
    assert not (tftpdir / "install").is_symlink()
    with pytest.raises(RequestError, match="cannot be made a link"):
        link_install(tmp_path / "nowhere", installdir)
