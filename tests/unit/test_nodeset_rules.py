"""nodeset's rules: words and chains, the image that is meant, kernel arguments, what the tables say then."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bootdoc import Loader, Way, from_text
from core.errors import DefinitionError, RequestError
from core.nodeset import cmdline
from core.nodeset.cmdline import Place, place_of
from core.nodeset.decide import DEFINED, Decision, decide, for_node
from core.nodeset.files import Files, of_genesis, of_image, served
from core.nodeset.images import Image, choose, image_of
from core.nodeset.words import MAYBE_VALUE, WITH_VALUE, Step, Word, parse, to_text

STATELESS = Image("compute", "netboot", "debian12", "x86_64", "compute")
DISKFUL = replace(STATELESS, imagename="disk", provmethod="install", template="/t/compute.tmpl")
NFSROOT = replace(STATELESS, imagename="lite", provmethod="statelite", nfsrootopts="ro,tcp")
ARM = replace(STATELESS, imagename="arm", osarch="aarch64")
IMAGES = {image.imagename: image for image in (STATELESS, DISKFUL, NFSROOT, ARM)}
NODE = {"noderes.netboot": "xnba", "nodetype.arch": "x86_64"}

values = st.text("abcXYZ019_.:/@%+=?&~-", min_size=1, max_size=20).filter(
    lambda text: not text.endswith(":reboot4deploy")
)
words = st.one_of(
    st.sampled_from([Word(step) for step in Step if step not in WITH_VALUE]),
    st.builds(Word, st.sampled_from(sorted(WITH_VALUE | MAYBE_VALUE)), values),
)


def first(candidates: Sequence[Files]) -> Files | None:
    return candidates[0]


def none(_candidates: Sequence[Files]) -> Files | None:
    return None


def decided(text: str, node: dict[str, str] | None = None, place: Place | None = None) -> Decision:
    return decide(parse(text), NODE | (node or {}), IMAGES, place or Place(), first)


def arguments(text: str, node: dict[str, str] | None = None, place: Place | None = None) -> str:
    boot = for_node(decided(text, node, place), "n1", ["52:54:00:00:00:01"], "10.0.1.1", "")
    assert boot is not None
    return boot.cmdline


def refused(text: str, node: dict[str, str] | None = None) -> str:
    with pytest.raises(DefinitionError) as caught:
        decided(text, node)
    return caught.value.message


# -- words ---------------------------------------------------------------------------------------------


@given(st.lists(words, min_size=1, max_size=6).map(tuple))
def test_a_chain_reads_as_it_was_written(chain: tuple[Word, ...]) -> None:
    assert parse(to_text(chain)) == chain


@given(st.text())
def test_any_text_is_a_chain_or_refused(text: str) -> None:
    try:
        chain = parse(text)
    except RequestError as error:
        assert error.message
    else:
        assert parse(to_text(chain)) == chain
        assert to_text(chain).isprintable()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not know ''"),
        ("boot,", "does not know ''"),
        ("reboot", "does not know 'reboot'"),
        ("osimage=", "write osimage or osimage=NAME"),
        ("boot=1", "write boot"),
        ("netboot=debian12-x86_64-compute", "write netboot, or osimage=NAME"),
        ("runcmd", "write runcmd=VALUE"),
        ("runcmd=a b", "one word"),
        ("osimage=x\nmenu", "one word"),
        ("runcmd=$(reboot)", "one word"),
        ("enact", "serval sn"),
        ("iscsiboot", "iSCSI"),
        ("stat", "does not know 'stat'"),
        (",".join(["boot"] * 33), "at most 32 steps"),
    ],
)
def test_bad_words_are_named(text: str, said: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse(text)
    assert said in caught.value.message


def test_a_word_of_xcat_for_a_new_deployment() -> None:
    assert parse("osimage=x:reboot4deploy") == (Word(Step.OSIMAGE, "x"),)


# -- images --------------------------------------------------------------------------------------------


def test_the_seed_documents_words_pick_the_image_that_fits() -> None:
    node = {"nodetype.os": "debian12", "nodetype.arch": "x86_64", "nodetype.profile": "compute"}
    assert choose(Word(Step.NETBOOT), node, IMAGES) == STATELESS
    assert choose(Word(Step.INSTALL), node, IMAGES) == DISKFUL
    assert choose(Word(Step.STATELITE), node, IMAGES) == NFSROOT
    assert choose(Word(Step.OSIMAGE), node | {"nodetype.provmethod": "install"}, IMAGES) == DISKFUL
    assert choose(Word(Step.OSIMAGE), node | {"nodetype.provmethod": "arm"}, IMAGES) == ARM


def test_an_image_with_the_usual_name_is_taken_before_others_that_fit() -> None:
    node = {"nodetype.os": "debian12", "nodetype.arch": "x86_64", "nodetype.profile": "compute"}
    usual = replace(STATELESS, imagename="debian12-x86_64-netboot-compute")
    assert choose(Word(Step.NETBOOT), node, IMAGES | {usual.imagename: usual}) == usual
    other = replace(STATELESS, imagename="compute2")
    with pytest.raises(DefinitionError, match="several osimages fit: compute, compute2"):
        choose(Word(Step.NETBOOT), node, IMAGES | {other.imagename: other})


@pytest.mark.parametrize(
    ("text", "node", "said"),
    [
        ("osimage=nosuch", {}, "Cannot find the OS image nosuch in the osimage table."),
        ("osimage", {}, "it has no osimage"),
        ("netboot", {}, "os and profile is not set"),
        (
            "netboot",
            {"nodetype.os": "rocky9", "nodetype.profile": "compute"},
            "no osimage rocky9-x86_64-netboot-compute. Make it with: mkdef -t osimage",
        ),
    ],
)
def test_what_is_no_image_is_named(text: str, node: dict[str, str], said: str) -> None:
    assert said in refused(text, node)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({}, "it has no provmethod"),
        ({"provmethod": "sysclone"}, "its provmethod is 'sysclone'"),
        ({"provmethod": "netboot", "osvers": "debian12", "osarch": "x86_64"}, "profile is not set"),
        ({"provmethod": "netboot", "osvers": "../..\n"}, "osvers is '../..\\n'"),
        ({"provmethod": "statelite", "rootfstype": "tmpfs"}, "rootfstype is 'tmpfs': chdef -t osimage x roo"),
    ],
)
def test_an_image_that_lacks_something_is_named(row: dict[str, str], said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        choose(Word(Step.OSIMAGE, "x"), {}, {"x": image_of("x", row)})
    assert said in caught.value.message


# -- files ---------------------------------------------------------------------------------------------


def test_files_of_each_method() -> None:
    folder = "install/netboot/debian12/x86_64/compute"
    best = of_image(STATELESS, "/install")[0]
    assert best == Files(f"{folder}/kernel", f"{folder}/initrd-stateless.gz", f"{folder}/rootimg.sfs")
    nfs = of_image(NFSROOT, "/install")
    boot = (f"{folder}/kernel-statelite", f"{folder}/initrd-statelite.gz")
    assert nfs == (Files(*boot, f"{folder}/rootimg-statelite"),)
    ramdisk = of_image(replace(NFSROOT, rootfstype="ramdisk"), "/install")[0]
    assert ramdisk.root == f"{folder}/rootimg-statelite.sfs"
    assert of_image(DISKFUL, "/install")[0].kernel == "install/debian12/x86_64/debian-installer/amd64/linux"
    assert of_genesis("x86_64")[1].initrd == "tftpboot/xcat/genesis.fs.x86_64.lzma"


def test_installdir_may_lie_anywhere() -> None:
    image = replace(STATELESS, rootimgdir="/srv/images/mine")
    assert of_image(image, "/srv/images")[0].kernel == "install/mine/kernel"


@pytest.mark.parametrize(
    "path",
    ["/etc/x", "/install", "/install/../etc", "install/x", "/install/a b", "/install/a\nb", "/install/${x}"],
)
def test_paths_that_lead_elsewhere_are_refused(path: str) -> None:
    with pytest.raises(DefinitionError, match="plain path below /install"):
        served(path, "/install", "install", "rootimgdir of osimage x")


@pytest.mark.parametrize("os", ["rocky9.4", "sles15.6", "debian12", "ubuntu24.04"])
def test_media_of_every_family_are_found(os: str) -> None:
    found = of_image(replace(DISKFUL, osvers=os), "/install")
    assert all(path.startswith(f"install/{os}/x86_64/") for one in found for path in one.paths())
    assert not any("{" in path for one in found for path in one.paths())


def test_a_distribution_that_nobody_knows_cannot_be_installed() -> None:
    with pytest.raises(DefinitionError, match="how plan9 is installed is not known"):
        of_image(replace(DISKFUL, osvers="plan9"), "/install")


# -- kernel arguments ----------------------------------------------------------------------------------


def test_a_stateless_node_gets_its_image_from_whoever_answers() -> None:
    assert arguments("osimage=compute") == (
        "imgurl=http://{server}:80/install/netboot/debian12/x86_64/compute/rootimg.sfs "
        "SERVAL={server}:3002 NODE=n1"
    )


def test_an_nfs_root_and_where_it_keeps_what_lasts() -> None:
    kept = {"statelite.statemnt": "$noderes.xcatmaster:/state/$node", "statelite.mntopts": "soft"}
    assert arguments("osimage=lite", kept).split() == [
        "root=nfs4:{server}:/install/netboot/debian12/x86_64/compute/rootimg-statelite:ro,tcp",
        "SERVAL={server}:3002",
        "NODE=n1",
        "STATEMNT={server}:/state/n1",
        "MNTOPTS=soft",
    ]
    assert "STATEMNT" not in arguments("osimage=lite", kept | {"statelite.image": "another"})


def test_an_image_that_keeps_files_needs_a_place_for_them() -> None:
    image = image_of("lite", {"provmethod": "statelite", "groups": "g1, g2"}, {"g2"})
    assert image.lasting
    assert not image_of("lite", {"provmethod": "statelite"}, {"g2", "other"}).lasting
    images = {"lite": replace(NFSROOT, lasting=True)}
    with pytest.raises(DefinitionError, match=r"persistent rows in litefile, and statelite\.statemnt"):
        decide(parse("osimage=lite"), NODE, images, Place(), first)


@pytest.mark.parametrize(
    ("os", "word"),
    [
        ("rocky9.4", "inst.ks=http://{server}:8080/install/autoinst/n1"),
        ("rocky9.4", "inst.repo=http://{server}:8080/install/rocky9.4/x86_64"),
        ("sles15.6", "autoyast=http://{server}:8080/install/autoinst/n1"),
        ("debian12", "url=http://{server}:8080/install/autoinst/n1"),
        ("ubuntu24.04", "ds=nocloud-net;s=http://{server}:8080/install/autoinst/nocloud/n1/"),
        ("ubuntu24.04", "nfsroot={server}:/install/ubuntu24.04/x86_64"),
    ],
)
def test_installers_find_their_answers(os: str, word: str) -> None:
    image = replace(DISKFUL, osvers=os)
    found = decide(parse("osimage=disk"), NODE, {"disk": image}, Place(http_port=8080), first)
    boot = for_node(found, "n1", ["52:54:00:00:00:01"], "10.0.1.1", "")
    assert boot is not None and word in boot.cmdline.split()
    assert found.currchain == "boot"


def test_the_console_and_added_words() -> None:
    node = {
        "nodehm.serialport": "1",
        "nodehm.serialspeed": "19200",
        "nodehm.serialflow": "hard",
        "bootparams.addkcmdline": "quiet R::crashkernel=64M debug",
    }
    found = arguments("osimage=compute", node)
    assert found.endswith("console=tty0 console=ttyS1,19200n8r quiet debug")
    arm = {"nodehm.serialport": "ttyAMA0", "nodehm.serialspeed": "115200", "noderes.netboot": "grub2"}
    assert arguments("osimage=arm", arm).endswith("console=ttyAMA0,115200")


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"nodehm.serialport": "0"}, "serialspeed is not set"),
        ({"nodehm.serialport": "0 init=/bin/sh", "nodehm.serialspeed": "9600"}, "serialport is '0 init"),
        ({"nodehm.serialport": "0", "nodehm.serialspeed": "fast"}, "serialspeed is 'fast'"),
        ({"bootparams.addkcmdline": "quiet\nboot"}, "ASCII in one line"),
        ({"bootparams.addkcmdline": "x" * 3000}, "letters long"),
        ({"statelite.statemnt": "a b"}, "it is HOST:/FOLDER without blanks"),
        ({"statelite.statemnt": "$site.master:/x"}, "variables that can stand there are $node"),
        ({"statelite.statemnt": "h:/x", "statelite.mntopts": "a b"}, "mount options are one word"),
    ],
)
def test_values_that_cannot_stand_in_a_boot_file_are_refused(node: dict[str, str], said: str) -> None:
    assert said in refused("osimage=lite", node)


def test_servers_that_are_fixed_are_named() -> None:
    place = place_of(Place(), {"noderes.xcatmaster": "sn1-c", "noderes.nfsserver": "10.0.0.7"})
    found = arguments("osimage=compute", place=place)
    assert "imgurl=http://10.0.0.7:80/" in found
    assert "SERVAL=sn1-c:3002" in found
    assert place_of(Place(), {"noderes.xcatmaster": "sn1-c"}).files_from == "sn1-c"
    with pytest.raises(DefinitionError, match=r"noderes\.nfsserver is 'a init=/bin/sh'"):
        place_of(Place(), {"noderes.nfsserver": "a init=/bin/sh"})


def test_the_genesis_image_is_told_what_to_do() -> None:
    assert arguments("runcmd=bmcsetup,osimage=compute").split()[0] == "destiny=runcmd=bmcsetup"
    assert cmdline.NODE not in arguments("shell")


# -- decisions -----------------------------------------------------------------------------------------


def test_an_image_writes_what_the_node_then_is() -> None:
    found = decided("osimage=compute")
    assert (found.state, found.currchain, found.status) == ("netboot debian12-x86_64-compute", "", DEFINED)
    assert found.nodetype == {
        "provmethod": "compute",
        "os": "debian12",
        "arch": "x86_64",
        "profile": "compute",
    }
    boot = for_node(found, "n1", ["52:54:00:00:00:01"], "10.0.1.1", "")
    assert boot is not None
    assert (boot.way, boot.loader, boot.macs, boot.ip) == (
        Way.IMAGE,
        Loader.XNBA,
        ("52:54:00:00:00:01",),
        "10.0.1.1",
    )
    assert from_text(boot.to_text()) == boot


def test_the_disk_blanks_a_diskless_image_alone() -> None:
    assert decided("boot", {"nodetype.provmethod": "compute"}).nodetype == {"provmethod": ""}
    assert decided("boot", {"nodetype.provmethod": "netboot"}).nodetype == {"provmethod": ""}
    assert decided("boot", {"nodetype.provmethod": "disk"}).nodetype == {}


def test_a_chain_keeps_what_comes_next() -> None:
    assert decided("runcmd=bmcsetup,osimage=disk,boot").currchain == "osimage=disk,boot"
    assert decided("osimage=disk,shell").currchain == "shell"
    assert decided("osimage=disk").currchain == "boot"


def test_offline_needs_nothing_and_leaves_nothing() -> None:
    found = decide(parse("offline"), {}, {}, Place(), none)
    assert (found.state, found.boot) == ("offline", None)
    assert for_node(found, "n1", ["52:54:00:00:00:01"], "10.0.1.1", "") is None


@pytest.mark.parametrize(("state", "way"), [("boot", Way.LOCAL), ("shutdown", Way.POWEROFF)])
def test_states_without_an_image(state: str, way: Way) -> None:
    found = decide(parse(state), NODE, {}, Place(), none)
    assert found.boot is not None and found.boot.way is way
    assert found.status == ""


@pytest.mark.parametrize(
    ("netboot", "arch", "said"),
    [
        ("pxe", "aarch64", "noderes.netboot is pxe, which cannot boot aarch64: chdef it netboot=grub2"),
        ("xnba", "aarch64", "which cannot boot aarch64"),
        ("grub2", "ppc64le", "no loader of Serval can"),
        ("petitboot", "x86_64", "noderes.netboot is 'petitboot': chdef it netboot=xnba|grub2|pxe"),
        ("", "x86_64", "noderes.netboot is not set"),
    ],
)
def test_loaders_that_cannot_are_errors(netboot: str, arch: str, said: str) -> None:
    assert said in refused("boot", {"noderes.netboot": netboot, "nodetype.arch": arch})
    assert decided("boot", {"noderes.netboot": "grub2-http", "nodetype.arch": "aarch64"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "osimage=compute",
            "is not packed: kernel, initrd and root image must be in install/netboot/debian12",
        ),
        ("osimage=disk", "copycds puts the media of debian12 there"),
        ("shell", "tftpboot/xcat/genesis.kernel.x86_64"),
    ],
)
def test_files_that_are_not_there_are_named_with_what_makes_them(text: str, said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        decide(parse(text), NODE, IMAGES, Place(), none)
    assert said in caught.value.message
