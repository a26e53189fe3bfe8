"""Which distribution a medium is: files as they are on real ones, shortened."""

import re

import pytest

from core.errors import DefinitionError
from core.images import debindex
from core.images.media import Medium, decided, marks, recognise
from core.images.mediarows import osimages
from core.images.sources import Kind
from drivers.images.debian import suite_of

TREEINFO = (
    "[general]\nfamily = {}\nname = {} {}\nversion = {}\narch = {}\n[media]\ndiscnum = 1\ntotaldiscs = 1\n"
)


def tree(family: str, version: str, arch: str = "x86_64") -> str:
    return TREEINFO.format(family, family, version, version, arch)


CASES = {
    "debian dvd": (
        {".disk/info": 'Debian GNU/Linux 12.5.0 "Bookworm" - Official amd64 DVD Binary-2 with firmware'},
        Medium("debian12", "x86_64", "2"),
    ),
    "debian netinst": (
        {".disk/info": 'Debian GNU/Linux 13.1.0 "Trixie" - Official arm64 NETINST with firmware'},
        Medium("debian13", "aarch64", partial=True),
    ),
    "ubuntu live": (
        {".disk/info": 'Ubuntu-Server 22.04.3 LTS "Jammy Jellyfish" - Release amd64 (20230810)'},
        Medium("ubuntu22.04", "x86_64", partial=True),
    ),
    "ubuntu numbered": (
        {
            ".disk/info": 'Ubuntu-Server 18.04.6 LTS "Bionic Beaver" - Release amd64 (20210915)',
            "README.diskdefines": "#define DISKNAME  Ubuntu\n#define DISKNUM  1\n#define DISKNUM1  1\n",
        },
        Medium("ubuntu18.04", "x86_64", "1", partial=True),
    ),
    "debian mirror": (
        {
            "dists/bookworm/Release": "Origin: Debian\nSuite: stable\nVersion: 12.11\nCodename: bookworm\n"
            "Architectures: all amd64\nMD5Sum:\n 0 0 main/x\n"
        },
        Medium("debian12", "x86_64"),
    ),
    "debian installer": (
        {"version.info": "Debian version:  12 (bookworm)\nInstaller build: 20230607+deb12u15\n"},
        Medium("debian12", "x86_64", partial=True),
    ),
    "rocky": (
        {
            ".treeinfo": tree("Rocky Linux", "9.4"),
            ".discinfo": "1714686889.911515\n9.4\nx86_64\n1\n",
            "media.repo": "[InstallMedia]\nname=Rocky Linux 9.4\n",
        },
        Medium("rocky9.4", "x86_64", "1"),
    ),
    "alma by discinfo": ({".discinfo": "1\nAlmaLinux 9.3\nx86_64\nALL\n"}, Medium("alma9.3", "x86_64")),
    "rhel": ({".treeinfo": tree("Red Hat Enterprise Linux", "9.2")}, Medium("rhels9.2", "x86_64", "1")),
    "centos 7, whose disc says more": (
        {".treeinfo": tree("CentOS", "7"), ".discinfo": "1\n7.9\nx86_64\n", "media.repo": "name=CentOS-7\n"},
        Medium("centos7.9", "x86_64", "1"),
    ),
    "centos stream": ({".treeinfo": tree("CentOS Stream", "9")}, Medium("centos-stream9", "x86_64", "1")),
    "oracle": ({".treeinfo": tree("Oracle Linux Server", "8.9")}, Medium("ol8.9", "x86_64", "1")),
    "fedora": ({".treeinfo": tree("Fedora", "39", "aarch64")}, Medium("fedora39", "aarch64", "1")),
    "sle 15": (
        {"media.1/media": "SUSE - SLE-15-SP5-Full-x86_64-Build24.3-Media\nSLE-15-SP5-Full-x86_64\n1\n"},
        Medium("sle15.5", "x86_64", "1"),
    ),
    "sles 12": (
        {"content": "DISTRO cpe:/o:suse:sles:12:sp5,SUSE Linux Enterprise Server 12 SP5\nBASEARCHS x86_64\n"},
        Medium("sles12.5", "x86_64", "1"),
    ),
    "leap": (
        {"media.1/media": "openSUSE - openSUSE-Leap-15.5-DVD-x86_64-Build491.1-Media\n"},
        Medium("leap15.5", "x86_64", "1"),
    ),
    "something": ({"README": "hello"}, None),
    "made up": ({".treeinfo": "family = Nobody\n", ".disk/info": "\x00\x01", "version.info": ""}, None),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_medium_is(case: str) -> None:
    texts, medium = CASES[case]
    assert recognise(texts, ["debian-installer/amd64/linux", "pool/x"]) == medium


def test_only_files_that_tell_are_read() -> None:
    names = [
        "pool/a.deb",
        "dists/bookworm/Release",
        ".disk/info",
        "dists/../Release",
        "a/.treeinfo",
        "dists/x*/Release",
    ]
    assert marks(names) == ["dists/bookworm/Release", ".disk/info"]


def test_the_administrator_decides_where_the_medium_does_not_know() -> None:
    assert decided(None, "rocky9.9", "amd64", "/x") == Medium("rocky9.9", "x86_64")
    known = Medium("debian12", "x86_64", "1")
    assert decided(known, "debian12.5.0", "", "/x") == Medium("debian12.5.0", "x86_64", "1")
    for medium, osvers, osarch, said in (
        (None, "", "", "could not identify /x; say what it is with -n"),
        (None, "rocky9.9", "", "architecture of /x; say it with -a"),
        (known, "", "aarch64", "Requested architecture aarch64, but /x is x86_64"),
        (known, "../debian", "", "osvers is '../debian'"),
        (None, "a b", "x86_64", "osvers is 'a b'"),
    ):
        with pytest.raises(DefinitionError, match=re.escape(said)):
            decided(medium, osvers, osarch, "/x")


def test_osimages_have_the_names_of_xcat() -> None:
    def find(kind: Kind, folder: str, ending: str) -> str | None:
        return f"/shipped/{folder}/{kind.profile}.{ending}" if ending in ("tmpl", "pkglist") else None

    made = dict(osimages(Medium("debian12", "x86_64", "1"), "/install/debian12/x86_64", "/install", find))
    assert list(made) == [
        "debian12-x86_64-install-compute", "debian12-x86_64-install-service",
        "debian12-x86_64-netboot-compute", "debian12-x86_64-statelite-compute",
    ]  # fmt: skip
    install, netboot = made["debian12-x86_64-install-compute"], made["debian12-x86_64-netboot-compute"]
    common = {
        "imagetype": "linux", "profile": "compute", "osname": "Linux", "osvers": "debian12",
        "osarch": "x86_64",
        "osdistroname": "debian12-x86_64", "pkgdir": "/install/debian12/x86_64",
        "otherpkgdir": "/install/post/otherpkgs/debian12/x86_64",
    }  # fmt: skip
    assert install == common | {
        "provmethod": "install", "template": "/shipped/install/compute.tmpl",
        "pkglist": "/shipped/install/compute.pkglist",
    }  # fmt: skip
    assert netboot == common | {
        "provmethod": "netboot", "pkglist": "/shipped/netboot/compute.pkglist",
        "rootimgdir": "/install/netboot/debian12/x86_64/compute",
    }  # fmt: skip


def test_indexes_of_discs_are_joined() -> None:
    one = "Package: a\nVersion: 1\nArchitecture: all\nDescription: x\n more\n\nPackage: b\nVersion: 1\n\n"
    two = "Package: b\nVersion: 1\n\n\nPackage: a\nVersion: 2\nArchitecture: all\n"
    whole = debindex.packages([one, two])
    assert re.findall(r"Package: (.*)\nVersion: (.*)", whole) == [("a", "1"), ("b", "1"), ("a", "2")]
    told = "Origin: Debian\nComponents: {}\nMD5Sum:\n 0123 9 main/old\nSHA256:\n 45 9 main/old\n"
    text = debindex.release([told.format("main"), told.format("contrib main")], {"main/P": b"abc"})
    assert "Origin: Debian\nComponents: main contrib\nMD5Sum:\n" in text
    assert " 900150983cd24fb0d6963f7d28e17f72                3 main/P\n" in text
    assert "old" not in text


@pytest.mark.parametrize(
    ("osvers", "suite"),
    [
        ("debian12", "bookworm"),
        ("debian12.5.0", "bookworm"),
        ("ubuntu22.04.3", "jammy"),
        ("ubuntu24.04", "noble"),
    ],
)
def test_a_point_release_is_built_as_its_release(osvers: str, suite: str) -> None:
    assert suite_of(osvers) == suite


@pytest.mark.parametrize("osvers", ["debian1", "debian120", "ubuntu22", "bookworm"])
def test_a_release_that_nobody_knows(osvers: str) -> None:
    with pytest.raises(DefinitionError, match=f"how {osvers} is built is not known"):
        suite_of(osvers)
