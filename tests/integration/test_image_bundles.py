"""imgexport and imgimport: what goes out comes in, and a bundle from anywhere harms nobody."""

import gzip
import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from imagesite import FILES, NAME, ImageSite, image_site, sqlite_env

from core.errors import RequestError, ServalError
from db.engine import reading
from db.images import read_image
from drivers.images.bundle import read_manifest
from drivers.images.shelf import Shelf
from routing.imageexport import imgexport
from routing.imageimport import imgimport
from routing.imageremoval import rmimage

LIST = "bash\n#INCLUDE:more#\n#ENV:KEY=v#\n#NEW_INSTALL_LIST#\n-nano\n"


@pytest.fixture
def site(sqlite_template: Path, tmp_path: Path) -> ImageSite:
    """An image with a list of its own, a script, and a postscript beside it."""
    made = image_site(sqlite_env(sqlite_template, tmp_path), tmp_path)
    made.lay_down()
    custom = made.install / "custom/netboot/debian"
    custom.mkdir(parents=True)
    (custom / "compute.pkglist").write_text(LIST)
    (custom / "more").write_text("vim  # an editor\n")
    (made.install / "postscripts").mkdir()
    for name in ("custom/tune me", "postscripts/mine"):
        (made.install / name).write_text("#!/bin/sh\n")
        (made.install / name).chmod(0o755)
    made.shell.ok(f"chdef -t osimage {NAME} postinstall='\"/install/custom/tune me\" 1' pkgdir=/install/x")
    made.shell.ok("chdef n1 postscripts=syslog,mine postbootscripts=later")
    return made


def exported(site: ImageSite, tmp_path: Path, **details: str) -> Path:
    """A bundle of the image."""
    bundle = tmp_path / "bundle.tgz"
    assert str(bundle) in site.do("imgexport", imgexport, image=NAME, bundle=str(bundle), **details)
    return bundle


def take_in(site: ImageSite, bundle: Path, **details: str) -> str:
    return site.do("imgimport", imgimport, bundle=str(bundle), image=NAME, **details)


def test_a_bundle_becomes_an_image_under_another_profile(site: ImageSite, tmp_path: Path) -> None:
    bundle = exported(site, tmp_path, node="n1", extra="/install/postscripts/mine:/install/postscripts/new")
    assert bundle.stat().st_mode & 0o777 == 0o600
    said = take_in(site, bundle, profile="test", nodes="n[2-3]")
    assert "scripts: genimage would run them" in said and "postscripts/new/mine" in said
    assert site.visible("test") == {"image.json", *FILES}
    assert {name: (site.folder("test") / name).read_bytes() for name in FILES} == FILES
    record = Shelf(site.folder("test")).record()
    assert (record.sha256, record.packages) == (
        hashlib.sha256(FILES["rootimg.sfs"]).hexdigest(),
        {"bash": "5"},
    )
    with reading(site.engine) as connection:
        values = read_image(connection, "debian12-x86_64-netboot-test")
    lists = "/install/custom/netboot/debian/debian12-x86_64-netboot-test"
    assert values["pkglist"] == f"{lists}/pkglist"
    assert (values["nodebootif"], values["profile"]) == ("eth0", "test")
    assert not {"pkgdir", "postinstall"} & values.keys()
    text = site.home.host_path(values["pkglist"]).read_text()
    assert text == "bash\nvim\n#ENV:KEY=v#\n#NEW_INSTALL_LIST#\n-nano\n"
    assert (site.home.host_path(lists) / "scripts/1-tune_me").stat().st_mode & 0o100
    assert (site.install / "postscripts/new/mine").stat().st_mode & 0o100
    assert "postscripts=syslog,mine" in site.shell.ok("lsdef n3 -i postscripts,postbootscripts")
    assert "NAME" not in site.shell.ok("genimage debian12-x86_64-netboot-test --dryrun")


def test_an_image_that_was_removed_comes_back_from_its_bundle(site: ImageSite, tmp_path: Path) -> None:
    bundle = exported(site, tmp_path)
    site.do("rmimage", rmimage, image=NAME, xcatdef="1")
    assert (site.visible(), NAME in site.shell.run("lsdef -t osimage").out) == (set(), False)
    take_in(site, bundle)
    assert site.visible() == {"image.json", *FILES}
    assert {name: (site.folder() / name).read_bytes() for name in FILES} == FILES
    assert "provmethod=netboot" in site.shell.ok(f"lsdef -t osimage {NAME} -i provmethod")
    assert "genimage" in site.shell.run(f"packimage {NAME}").err, "the tree stayed where it was"


def test_nothing_is_replaced_without_force(site: ImageSite, tmp_path: Path) -> None:
    bundle = exported(site, tmp_path)
    with pytest.raises(RequestError, match="is there already"):
        exported(site, tmp_path)
    with pytest.raises(RequestError, match=rf"osimage {NAME}, an image in .* would be replaced"):
        take_in(site, bundle)
    answer = site.shell.run(f"imgimport {bundle}")
    assert (answer.status, "--force" in answer.err) == (1, True)
    (site.folder() / "rootimg.cpio.gz").touch()
    (site.folder() / "kernel").write_text("another\n")
    take_in(site, bundle, force="1")
    assert site.visible() == {"image.json", *FILES}, "neither the tree of the other image nor its old form"
    assert (site.folder() / "kernel").read_bytes() == FILES["kernel"]
    with reading(site.engine) as connection:
        assert "pkgdir" not in read_image(connection, NAME), "the definition is the bundle's, whole"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("imgexport NAME -e /etc/passwd", "/etc is not below /install"),
        ("imgexport NAME -e /etc/passwd:/install/../etc", "is not below /install"),
        ("imgexport NAME -p n[1-2]", "-p names one node"),
        ("imgexport NAME -R root@host", "scp"),
        ("imgexport nosuch", "Cannot find the OS image nosuch"),
        ("imgimport nosuch.tgz", "nosuch.tgz cannot be read"),
        ("imgimport .", "is no plain file"),
        ("imgimport bundle.tgz -f bad/profile", "profile is 'bad/profile'"),
        ("imgimport bundle.tgz -f new -p n1", "has no postscripts"),
    ],
)
def test_what_is_refused_at_once(site: ImageSite, tmp_path: Path, line: str, said: str) -> None:
    if "bundle.tgz" in line:
        exported(site, tmp_path)
    answer = site.shell.run(line.replace("NAME", NAME))
    assert (answer.status, said in answer.err) == (1, True), answer


def test_an_image_that_is_not_packed_is_not_exported(site: ImageSite) -> None:
    (site.folder() / "rootimg.sfs").unlink()
    assert "lacks a packed image" in site.shell.run(f"imgexport {NAME}").err


Members = list[tuple[tarfile.TarInfo, bytes]]


def members(bundle: Path) -> Members:
    with tarfile.open(bundle) as archive:
        found = [(info, archive.extractfile(info)) for info in archive.getmembers()]
        return [(info, file.read() if file else b"") for info, file in found]


def rewritten(bundle: Path, change: Callable[[Members], Members]) -> Path:
    """The bundle with other members."""
    changed = change(members(bundle))
    with tarfile.open(bundle, "w:gz") as archive:
        for info, content in changed:
            archive.addfile(info, io.BytesIO(content))
    return bundle


def told(change: Callable[[dict[str, Any]], object]) -> Callable[[Members], Members]:
    """Another manifest."""

    def act(found: Members) -> Members:
        values = json.loads(found[0][1])
        change(values)
        text = json.dumps(values).encode()
        info = tarfile.TarInfo("manifest.json")
        info.size = len(text)
        return [(info, text), *found[1:]]

    return act


def replaced(member: str, **values: Any) -> Callable[[Members], Members]:
    """One member with other attributes."""

    def act(found: Members) -> Members:
        for info, _ in found:
            if info.name == member:
                for key, value in values.items():
                    setattr(info, key, value)
        return [(info, content if info.isreg() else b"") for info, content in found]

    return act


def damaged(found: Members) -> Members:
    return [(info, b"X" + content[1:] if info.name == "image/kernel" else content) for info, content in found]


def with_bomb(found: Members) -> Members:
    info = tarfile.TarInfo("image/kernel")
    info.size = 50 << 20
    return [found[0], (info, bytes(50 << 20))]


def with_long_header(found: Members) -> Members:
    info = tarfile.TarInfo("image/kernel")
    info.pax_headers = {"comment": "x" * (20 << 20)}
    return [found[0], (info, b""), *found[1:]]


PART = {"size": 1, "sha256": "0" * 64, "executable": False}
LINK = {"size": 0, "linkname": "/etc/shadow"}
HOSTILE = {
    "a link": (replaced("image/kernel", type=tarfile.SYMTYPE, **LINK), "no plain file"),
    "a hard link": (replaced("image/kernel", type=tarfile.LNKTYPE, **LINK), "no plain file"),
    "a device": (replaced("image/kernel", type=tarfile.CHRTYPE, size=0), "no plain file"),
    "an absolute name": (replaced("image/kernel", name="/etc/kernel"), "does not name so"),
    "a name with dots": (replaced("image/kernel", name="image/../../kernel"), "does not name so"),
    "a name twice": (lambda found: [*found, found[1]], "does not name so"),
    "damage": (damaged, "is damaged"),
    "a file too few": (lambda found: found[:-1], "lacks "),
    "a bomb": (with_bomb, "does not name so"),
    "a long header": (with_long_header, "more than its manifest says"),
    "no manifest": (lambda found: found[1:], "bundles of xCAT"),
    "a name in the manifest": (told(lambda it: it["files"].update({"image/../x": PART})), "none of ours"),
    "a default script": (
        told(lambda it: it["files"].update({"extra/custom/netboot/debian/compute.postinstall": PART})),
        "would change other images",
    ),
    "a size that is none": (told(lambda it: it["files"]["image/kernel"].update(size=-1)), "how large"),
    "a size as text": (told(lambda it: it["files"]["image/kernel"].update(size="1")), "how large"),
    "more than the disk": (
        told(lambda it: it["files"].update({"extra/x": {**PART, "size": 1 << 60}})), "MB left",
    ),
    "a line break": (told(lambda it: it["attributes"].update(osvers="debian12\n")), "no printable"),
    "a path as profile": (told(lambda it: it["attributes"].update(profile="../x")), "one plain word"),
    "a name of paths": (told(lambda it: it.update(name="../x")), "no name of an osimage"),
    "another method": (told(lambda it: it["attributes"].update(provmethod="install")), "provmethod install"),
    "another edition": (told(lambda it: it.update(edition=99)), "another release"),
    "a list as manifest": (lambda found: told(lambda it: it.clear())(found), "cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_bundles(site: ImageSite, tmp_path: Path, kind: str) -> None:
    change, said = HOSTILE[kind]
    bundle = rewritten(exported(site, tmp_path), change)
    before = everything(site)
    with pytest.raises(ServalError, match=said):
        take_in(site, bundle, profile="" if "manifest" in kind else "new", force="1")
    assert everything(site) == before


def everything(site: ImageSite) -> set[str]:
    """All files below the site's root, but for folders that a build may make."""
    found = {str(path) for path in site.home.root.rglob("*") if path.is_file() and path.name != ".lock"}
    assert not [path for path in found if ".build" in path]
    return found


@pytest.mark.parametrize(
    "content", [b"", b"no archive", gzip.compress(b"x" * 100, mtime=0), b"\x1f\x8b\x08\0broken"]
)
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.tgz").write_bytes(content)
    with pytest.raises(RequestError, match=r"is no (whole )?bundle"):
        read_manifest(tmp_path / "x.tgz")


def test_half_a_bundle_and_one_of_xcat(site: ImageSite, tmp_path: Path) -> None:
    bundle = exported(site, tmp_path)
    whole = bundle.read_bytes()
    bundle.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RequestError, match="no whole bundle"):
        take_in(site, bundle, profile="new")
    assert site.visible("new") == set()
    folder = tmp_path / "xcat"
    folder.mkdir()
    (folder / "manifest.xml").write_text("<xcatimage/>")
    shutil.make_archive(str(tmp_path / "foo"), "gztar", folder)
    with pytest.raises(RequestError, match=r"bundles of xCAT, with manifest\.xml, cannot be read"):
        take_in(site, tmp_path / "foo.tar.gz")


def test_nothing_is_written_through_a_symbolic_link(site: ImageSite, tmp_path: Path) -> None:
    bundle = exported(site, tmp_path, extra="/install/postscripts/mine")
    shutil.rmtree(site.install / "postscripts")
    (tmp_path / "elsewhere").mkdir()
    (site.install / "postscripts").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RequestError, match="is a symbolic link"):
        take_in(site, bundle, profile="new")
    assert not list((tmp_path / "elsewhere").iterdir())
