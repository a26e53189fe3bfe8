"""copycds with images of DVDs made here: what comes of good ones, of hostile ones, and of a lack of space."""

import gzip
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import discs
import pytest
from imagesite import ImageSite, image_site

from core.errors import RequestError, ServalError
from drivers.images.jail import Cancelled, Jail
from drivers.images.media import Disc, inspect, open_media
from routing.copying import Ask, copies, copy_one, copycds

METHODS = ("install", "netboot")
FOUR = ["install-compute", "install-service", "netboot-compute", "statelite-compute"]


@pytest.fixture
def site(sqlite_url: str, tmp_path: Path) -> ImageSite:
    env = {"SERVAL_HOME": str(tmp_path / "home"), "SERVAL_DATABASE": sqlite_url}
    return image_site(env, tmp_path)


def copy(site: ImageSite, *media: Path, osimages: bool = True, **more: str) -> str:
    ask = Ask(tuple(map(str, media)), osimages=osimages, **more)
    return site.do("copycds", copycds, **ask.details())


def files(top: Path) -> set[str]:
    return {str(path.relative_to(top)) for path in top.rglob("*") if not path.is_dir()}


def test_a_dvd_is_copied_and_gets_its_osimages(site: ImageSite, tmp_path: Path) -> None:
    media = discs.rocky(tmp_path / "Rocky-9.4", **{"BaseOS/repodata/repomd.xml": "<x/>\n"})
    said = copy(site, media)
    names = [f"rocky9.4-x86_64-{name}" for name in FOUR]
    assert said == f"rocky9.4 x86_64: 5 files in /install/rocky9.4/x86_64; osimages {', '.join(names)}"
    tree = site.install / "rocky9.4/x86_64"
    assert files(tree) == {*discs.ROCKY, "BaseOS/repodata/repomd.xml", ".fingerprint", "serval.manifest"}
    assert (tree / "images/pxeboot/vmlinuz").read_text() == "kernel\n"
    assert {path.name for path in tree.parent.iterdir()} == {"x86_64", ".lock"}
    assert site.shell.ok("lsdef -t osimage").split("\n")[:4] == [f"{name}  (osimage)" for name in names]
    told = site.shell.ok(f"lsdef -t osimage -o {names[2]}")
    for line in (
        "imagetype=linux", "osname=Linux", "osvers=rocky9.4", "osarch=x86_64", "profile=compute",
        "osdistroname=rocky9.4-x86_64", "pkgdir=/install/rocky9.4/x86_64", "provmethod=netboot",
        "rootimgdir=/install/netboot/rocky9.4/x86_64/compute",
        "otherpkgdir=/install/post/otherpkgs/rocky9.4/x86_64",
    ):  # fmt: skip
        assert f"    {line}\n" in told


def test_what_the_administrator_has_set_stays(site: ImageSite, tmp_path: Path) -> None:
    own = site.install / "custom/netboot/rocky/compute.rocky9.pkglist"
    own.parent.mkdir(parents=True)
    own.write_text("bash\n")
    name = "rocky9.4-x86_64-netboot-compute"
    site.shell.ok(f"mkdef -t osimage {name} rootimgdir=/install/mine provmethod=netboot")
    copy(site, discs.rocky(tmp_path / "disc"))
    told = site.shell.ok(f"lsdef -t osimage -o {name}")
    assert "    rootimgdir=/install/mine\n" in told
    assert "    pkglist=/install/custom/netboot/rocky/compute.rocky9.pkglist\n" in told
    site.shell.ok(f"rmdef -t osimage {name}")
    copy(site, tmp_path / "disc.iso", osimages=False)
    assert name not in site.shell.ok("lsdef -t osimage")


def test_two_discs_of_debian_are_one_repository(site: ImageSite, tmp_path: Path) -> None:
    first = discs.debian(tmp_path / "one", 1, "bash", "both")
    second = discs.debian(tmp_path / "two", 2, "both", "zsh")
    copy(site, first)
    tree = site.install / "debian12/x86_64"
    with (tree / "dists/bookworm/Release").open() as reader:  # somebody who reads meanwhile
        copy(site, second)
        assert "Origin: Debian" in reader.read()
    assert {"pool/main/bash_1_all.deb", "pool/main/both_1_all.deb", "pool/main/zsh_1_all.deb"} <= files(tree)
    assert "Binary-1" in (tree / ".disk/info").read_text(), "the first disc's marks stay"
    index = tree / "dists/stable/main/binary-amd64/Packages"
    assert [line[9:] for line in index.read_text().splitlines() if "Package:" in line] == [
        "bash",
        "both",
        "zsh",
    ]
    assert gzip.decompress(index.with_suffix(".gz").read_bytes()) == index.read_bytes()
    digest = hashlib.sha256(index.read_bytes()).hexdigest()
    assert (
        f" {digest} {index.stat().st_size:>16} main/binary-amd64/Packages\n"
        in (tree / "dists/bookworm/Release").read_text()
    )
    assert len((tree / ".fingerprint").read_text().split(",")) == 2
    assert known_to_apt(tree, tmp_path / "apt") == ["bash", "both", "zsh"]


def known_to_apt(tree: Path, state: Path) -> list[str]:
    """The packages that apt finds in a repository, whose hashes it checks."""
    (state / "lists/partial").mkdir(parents=True)
    (state / "status").touch()
    listed = state / "sources.list"
    listed.write_text(f"deb [trusted=yes arch=amd64] file:{tree} bookworm main\n")
    places = {"Dir::Etc::SourceList": listed, "Dir::Etc::SourceParts": "-", "Dir::State": state}
    places |= {"Dir::State::status": state / "status", "Dir::Cache": state, "APT::Architecture": "amd64"}
    options = [f"-o{name}={value}" for name, value in places.items()]
    subprocess.run(["apt-get", *options, "update", "--error-on=any"], check=True, capture_output=True)
    done = subprocess.run(["apt-cache", *options, "pkgnames"], check=True, capture_output=True, text=True)
    return sorted(done.stdout.split())


def test_two_discs_of_el_are_one_repository(site: ImageSite, tmp_path: Path) -> None:
    for number in (1, 2):
        folder = discs.tree(tmp_path / str(number), {f"Packages/{number}": "x"})
        subprocess.run(["createrepo_c", "--quiet", folder], check=True, capture_output=True)
        (folder / "repodata/repomd.xml").write_text(f"<!-- {number} -->")
        discs.rocky(folder, number)
    said = copy(site, tmp_path / "1.iso", tmp_path / "2.iso")
    assert said.count("osimages") == 2
    tree = site.install / "rocky9.4/x86_64"
    assert {"Packages/1", "Packages/2"} <= files(tree)
    assert "<repomd" in (tree / "repodata/repomd.xml").read_text(), "made anew for all packages"
    assert "discnum = 1" in (tree / ".treeinfo").read_text()


def test_suse_has_a_folder_for_each_disc_and_a_folder_is_a_medium_too(
    site: ImageSite, tmp_path: Path
) -> None:
    media = discs.tree(tmp_path / "sle", {"media.1/media": "SUSE - SLE-15-SP5-Full-x86_64-Build1-Media\n"})
    (media / "boot").mkdir(mode=0o700)
    assert "in /install/sle15.5/x86_64/1" in copy(site, media)
    assert (site.install / "sle15.5/x86_64/1/boot").stat().st_mode & 0o777 == 0o755
    assert "pkgdir=/install/sle15.5/x86_64/1" in site.shell.ok(
        "lsdef -t osimage sle15.5-x86_64-install-compute"
    )


def test_the_command_says_what_media_are(site: ImageSite, tmp_path: Path) -> None:
    media = discs.rocky(tmp_path / "disc")
    assert site.shell.ok("copycds -i disc.iso") == (
        f"OS Image:{media}\nDISTNAME:rocky9.4\nARCH:x86_64\nDISCNO:1\n"
    )
    unknown = discs.iso(tmp_path / "unknown.iso", discs.tree(tmp_path / "unknown", {"README": "x"}))
    answer = site.shell.run("copycds -i unknown.iso disc.iso -n x")
    assert (answer.status, answer.out.count("DISTNAME:rocky9.4")) == (1, 1)
    assert f"could not identify {unknown}" in answer.err
    for line, said in (
        ("unknown.iso", f"could not identify {unknown}; say what it is with -n, such as -n rocky9.4"),
        ("unknown.iso -n rocky9.9", "say it with -a"),
        ("disc.iso -a aarch64", "Requested architecture aarch64, but"),
        ("disc.iso -n ../../etc", "osvers is '../../etc'"),
        ("disc.iso -p '/install/a b'", "the folder of the copy is '/install/a b'"),
        ("none.iso", f"{tmp_path}/none.iso cannot be read: No such file"),
        ("/dev/null", "is neither the image of a DVD, nor a drive, nor a folder"),
        ("/etc/hostname", "/etc/hostname cannot be read, or is no medium"),
    ):
        answer = site.shell.run(f"copycds {line}")
        assert (answer.status, said in answer.err) == (1, True), (line, answer)
    assert not site.install.exists()
    copy(site, media)
    assert site.shell.ok("copycds -w disc.iso") == f"{media}: The disc iso has already been copied in!\n"


def test_links_of_the_administrator_stay_where_media_are_joined(site: ImageSite, tmp_path: Path) -> None:
    first, second = discs.rocky(tmp_path / "one"), discs.rocky(tmp_path / "two", 2, new="x")
    copy(site, first)
    own = site.install / "rocky9.4/x86_64/updates"
    own.symlink_to("/srv/updates")
    copy(site, second)
    assert own.is_symlink()
    assert (own.parent / "new").read_text() == "x"
    third = discs.rocky(tmp_path / "three", 3, **{"updates/below": "x"})
    with pytest.raises(RequestError, match="updates is a folder on one disc and a file on the other"):
        copy(site, third)


def test_a_name_and_a_folder_of_ones_own(site: ImageSite, tmp_path: Path) -> None:
    media = discs.iso(tmp_path / "unknown.iso", discs.tree(tmp_path / "unknown", {"README": "x"}))
    copy(site, media, osvers="rocky9.9", osarch="x86_64", folder="/install/own/place")
    assert files(site.install / "own/place") == {"README", ".fingerprint", "serval.manifest"}
    copy(site, media, osvers="rocky9.9", osarch="x86_64", folder="/install/own/place")
    for folder in ("/install", "/install/own"):
        answer = site.shell.run(f"copycds unknown.iso -n rocky9.9 -a x86_64 -p {folder}")
        assert f"{folder} holds something that copycds did not put there" in answer.err
    told = site.shell.ok("lsdef -t osimage rocky9.9-x86_64-install-service")
    assert "pkgdir=/install/own/place" in told


def hostile(tmp_path: Path, kind: str) -> Path:
    """The image of a disc with one thing in it that no medium has."""
    folder = discs.tree(
        tmp_path / "hostile", {"zz/QQ_QQ": "x", ".discinfo": "1\nRocky Linux 9.4\nx86_64\n1\n"}
    )
    bad = folder / "bad"
    match kind:
        case "absolute link":
            bad.symlink_to("/etc/shadow")
        case "link out":
            bad.symlink_to("../../../../etc")
        case "link by a link":
            (folder / "a/b").mkdir(parents=True)
            (folder / "a/b/c").symlink_to("../../zz")
            bad.symlink_to("a/b/c/../..")
        case "device":
            os.mknod(bad, 0o20666, os.makedev(1, 3))
        case "fifo":
            os.mkfifo(bad)
        case "newline":
            (folder / "bad\nname").touch()
        case "no letters":
            Path(os.fsdecode(bytes(folder) + b"/bad\xff")).touch()
    media = discs.iso(tmp_path / "hostile.iso", folder)
    if kind == "dots":
        media.write_bytes(media.read_bytes().replace(b"QQ_QQ", b"../QQ"))
    return media


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("absolute link", "a link bad to '/etc/shadow', which leads out of it"),
        ("link out", "a link bad to '../../../../etc', which leads out of it"),
        ("link by a link", "which leads out of it"),
        ("device", "bad: Can't create 'bad': Operation not permitted"),
        ("fifo", "has bad, which is neither a file nor a folder"),
        ("newline", r"a file with the name 'bad\nname'; it is refused"),
        ("no letters", r"a file with the name 'bad\udcff'; it is refused"),
        ("dots", "Path contains '..'"),
    ],
)
def test_hostile_discs(site: ImageSite, tmp_path: Path, kind: str, said: str) -> None:
    media = hostile(tmp_path, kind)
    with pytest.raises(RequestError) as caught:
        copy(site, media)
    assert said in caught.value.message
    assert files(site.install) == {"rocky9.4/.lock"}
    assert "QQ" not in {path.name for path in tmp_path.iterdir()}


def test_an_archive_is_no_disc(tmp_path: Path) -> None:
    """bsdtar would read it too, and an mtree(5) file may name files of this host."""
    listing = tmp_path / "medium.iso"
    listing.write_text("#mtree\n./.discinfo type=file contents=/etc/shadow\n" * 2000)
    with pytest.raises(RequestError, match="is no medium: it is not the image of a DVD"):
        open_media(listing)


def test_nobody_gets_rights_from_a_disc(site: ImageSite, tmp_path: Path) -> None:
    folder = discs.tree(tmp_path / "disc", {"bin/su": "x", "secret": "y"})
    (folder / "bin/su").chmod(0o6755)
    (folder / "secret").chmod(0)
    (folder / "bin").chmod(0o1777)
    shutil.chown(folder / "bin/su", 1234, 1234)
    copy(site, discs.rocky(folder))
    tree = site.install / "rocky9.4/x86_64"
    modes = {name: (tree / name).stat().st_mode & 0o7777 for name in ("bin", "bin/su", "secret", ".")}
    assert modes == {"bin": 0o755, "bin/su": 0o755, "secret": 0o644, ".": 0o755}
    assert (tree / "bin/su").stat().st_uid == 0


def test_no_space_is_said_before_anything_is_copied(site: ImageSite, tmp_path: Path) -> None:
    folder = discs.tree(tmp_path / "disc", {"large": bytes(8 << 20)})
    media = discs.rocky(folder)
    site.install.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=70m", "none", site.install], check=True)
    try:
        with pytest.raises(ServalError, match=r"has 70 MB left; 72 MB are needed at least"):
            copy(site, media)
        assert files(site.install) == {"rocky9.4/.lock"}
    finally:
        subprocess.run(["umount", site.install], check=True)


def test_a_disc_that_does_not_fit_the_other_changes_nothing(site: ImageSite, tmp_path: Path) -> None:
    copy(site, discs.rocky(tmp_path / "one", 1, name="file"))
    second = discs.rocky(tmp_path / "two", 2, **{"name/below": "x", "AppStream/new": "x"})
    before = files(site.install)
    with pytest.raises(RequestError, match="name is a folder on one disc and a file on the other"):
        copy(site, second)
    assert files(site.install) == before


def test_a_cancelled_copy_leaves_nothing(site: ImageSite, tmp_path: Path) -> None:
    media = discs.rocky(discs.tree(tmp_path / "disc", {"large": os.urandom(64 << 20)}))
    (one,) = copies(Ask((str(media),)), "/install", site.home)
    steps: list[str] = []
    place = site.install / "rocky9.4/.build/new/large"
    with (tmp_path / "log").open("wb") as log, pytest.raises(Cancelled):
        copy_one(site.home, one, Jail(log, place.exists), lambda _, text: steps.append(text))
    assert steps[0] == "disc.iso: 64 MB in 5 files"
    assert files(site.install) == {"rocky9.4/.lock"}


def test_debians_installer_for_the_network_is_added(site: ImageSite, tmp_path: Path) -> None:
    """The folder of the package debian-installer-12-netboot-amd64 is a medium."""
    names = ("version.info", "debian-installer/amd64/linux", "debian-installer/amd64/initrd.gz")
    folder = discs.tree(tmp_path / "text", dict.fromkeys(names, "Debian version:  12 (bookworm)\n"))
    (folder / "pxelinux.0").symlink_to("debian-installer/amd64/linux")
    copy(site, folder)
    attributes = {name: site.shell.ok(f"lsdef -t osimage debian12-x86_64-{name}-compute") for name in METHODS}
    assert ["pkgdir=/install/debian12" in told for told in attributes.values()] == [True, False]
    copy(site, discs.debian(tmp_path / "one", 1, "bash"))
    assert {*names, "pxelinux.0", "pool/main/bash_1_all.deb"} <= files(site.install / "debian12/x86_64")
    assert "pkgdir=/install/debian12" in site.shell.ok("lsdef -t osimage debian12-x86_64-netboot-compute")


def test_names_on_a_disc_are_read_as_they_are(tmp_path: Path) -> None:
    names = {"a -> b": "x", "with blank": "xy", "ü": "xyz", "back\\slash": "x"}
    media = discs.iso(tmp_path / "x.iso", discs.tree(tmp_path / "x", names))
    assert inspect(Disc(media)).contents.size == 7
