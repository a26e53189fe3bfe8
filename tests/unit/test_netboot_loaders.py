"""Boot files: what each loader writes, and that no value gets out of its place."""

import shlex
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bootdoc import BootDoc, Loader, Way
from core.errors import NodeError
from drivers.netboot.loader import HTTP_CLIENTS, MARK
from drivers.netboot.loaders import LOADERS, dhcp_boot_files, render, script_of

IMAGE = BootDoc(
    node="n1",
    state="netboot debian12-x86_64-compute",
    way=Way.IMAGE,
    loader=Loader.XNBA,
    arch="x86_64",
    macs=("52:54:00:00:00:01", "52:54:00:00:00:02"),
    ip="10.0.1.17",
    kernel="tftpboot/xcat/osimage/img/kernel",
    initrd="tftpboot/xcat/osimage/img/initrd",
    cmdline="imgurl=http://{server}/install/rootimg console=ttyS0,115200n8",
)

#: Half of it could be a kernel argument of somebody, half of it is in no file for good reason.
sly = st.text(st.sampled_from("ab={}$;|&#<>()[]!*?-/: "), max_size=20)
hostile = sly | st.text(st.sampled_from("a '\"\\`\n\r\t\0é") | st.characters(), max_size=20)
words = sly | st.sampled_from(
    ["NODE=n1", "{server}", "a={server}:1", "${net0/mac}", "||", "#x", "-", 'a="b c"']
)
kernel_arguments = st.lists(words, max_size=6).map(" ".join) | hostile


def only_text(doc: BootDoc) -> str:
    """What the node boots; GRUB gets there through files that name it."""
    files = render(doc)
    own = {text for path, text in files.items() if not path.startswith("boot/grub2/grub.cfg-")}
    (text,) = own
    return text


def test_xnba_files_have_the_names_of_xcat() -> None:
    files = render(IMAGE)
    assert list(files) == ["xcat/xnba/nodes/n1", "xcat/xnba/nodes/n1.uefi"]
    assert only_text(IMAGE).splitlines()[:5] == [
        "#!ipxe",
        "#netboot debian12-x86_64-compute",
        MARK,
        "kernel http://${next-server}:80/tftpboot/xcat/osimage/img/kernel initrd=initrd "
        "imgurl=http://${next-server}/install/rootimg console=ttyS0,115200n8 "
        "BOOTIF=01-${netX/mac:hexhyp} || goto again",
        "initrd --name initrd http://${next-server}:80/tftpboot/xcat/osimage/img/initrd || goto again",
    ]


def test_xnba_learns_its_name_by_its_mac_address_where_dhcp_does_not_tell_it() -> None:
    files = render(replace(IMAGE, proxy=True))
    assert list(files)[2:] == [f"xcat/xnba/nodes/01-52-54-00-00-00-0{last}" for last in (1, 2)]
    text = files["xcat/xnba/nodes/01-52-54-00-00-00-02"]
    assert text.startswith(f"#!ipxe\n{MARK}\nset hostname n1\n")
    assert text.endswith("chain --replace --autofree http://${next-server}:80/tftpboot/xcat/xnba/nodes/n1\n")
    with pytest.raises(NodeError, match="a MAC address has such a name"):
        render(replace(IMAGE, node="01-52-54-00-00-00-02"))


def test_grub2_finds_its_file_by_mac_and_address() -> None:
    assert list(render(replace(IMAGE, loader=Loader.GRUB2))) == [
        "boot/grub2/n1",
        "boot/grub2/grub.cfg-01-52-54-00-00-00-01",
        "boot/grub2/grub.cfg-01-52-54-00-00-00-02",
        "boot/grub2/grub.cfg-0A000111",
    ]


def test_grub2_loads_over_http_on_the_only_port_that_it_knows() -> None:
    doc = replace(IMAGE, loader=Loader.GRUB2)
    assert 'linux "(http,$net_default_server)/tftpboot/xcat/osimage/img/kernel"' in only_text(doc)
    assert 'linux "(tftp,$net_default_server)/xcat/osimage/img/kernel"' in only_text(
        replace(doc, http_port=8080)
    )


def test_grub2_hands_on_quoted_arguments_as_the_kernel_reads_them() -> None:
    text = only_text(replace(IMAGE, loader=Loader.GRUB2, cmdline='a="b c" "d=e f" g={server}:1/{server}'))
    assert (
        "'a=b c' 'd=e f' 'g='\"$net_default_server\"':1/'\"$net_default_server\"'' "
        "'BOOTIF=01-'\"$net_default_mac\""
    ) in text


def test_pxelinux_loads_from_the_server_that_answered() -> None:
    doc = replace(IMAGE, loader=Loader.PXE)
    assert list(render(doc)) == [
        "pxelinux.cfg/01-52-54-00-00-00-01",
        "pxelinux.cfg/01-52-54-00-00-00-02",
        "pxelinux.cfg/0A000111",
    ]
    assert only_text(doc).splitlines() == [
        "#netboot debian12-x86_64-compute",
        MARK,
        "DEFAULT serval",
        "LABEL serval",
        "LINUX xcat/osimage/img/kernel",
        "INITRD xcat/osimage/img/initrd",
        "APPEND imgurl=http://{server}/install/rootimg console=ttyS0,115200n8",
        "IPAPPEND 3",
    ]


def test_pxelinux_does_without_ip_where_no_argument_asks_for_the_server() -> None:
    assert only_text(replace(IMAGE, loader=Loader.PXE, cmdline="quiet")).endswith(
        "APPEND quiet\nIPAPPEND 2\n"
    )


def test_grub2_learns_the_name_of_the_node_from_its_address() -> None:
    files = render(
        replace(IMAGE, loader=Loader.GRUB2, cmdline="NODE=n1 url=http://{server}/autoinst/n1 n11 a-n1")
    )
    names = {text for path, text in files.items() if "grub.cfg-" in path}
    assert names == {f"#boot/grub2/n1 says what this node boots\n{MARK}\nset node=n1\nsource $prefix/n1\n"}
    assert (
        "'NODE='\"$node\"'' 'url=http://'\"$net_default_server\"'/autoinst/'\"$node\"'' 'n11' 'a-n1'"
    ) in files["boot/grub2/n1"]


@pytest.mark.parametrize("loader", [Loader.XNBA, Loader.GRUB2])
@pytest.mark.parametrize("name", ["n2", "server", "n1-2.x", "kernel"])
def test_nodes_of_one_profile_have_one_text(loader: Loader, name: str) -> None:
    one, two = (
        replace(
            IMAGE,
            loader=loader,
            node=node,
            macs=(mac,),
            cmdline=f"NODE={node} url=http://{{server}}/a/{node}",
        )
        for node, mac in (("n1", "52:54:00:00:00:01"), (name, "52:54:00:00:00:02"))
    )
    assert only_text(one) == only_text(two)


def test_xnba_takes_the_name_of_the_node_from_dhcp() -> None:
    text = only_text(replace(IMAGE, cmdline="NODE=n1 url=http://{server}/autoinst/n1 n11 a-n1"))
    assert " NODE=${hostname} url=http://${next-server}/autoinst/${hostname} n11 a-n1 " in text


@pytest.mark.parametrize("loader", Loader)
def test_a_fixed_server_is_the_only_one_named(loader: Loader) -> None:
    text = only_text(replace(IMAGE, loader=loader, server="sn1.cluster"))
    assert "imgurl=http://sn1.cluster/install" in text.replace("'", "")
    assert not any(word in text for word in ("{server}", "next-server", "net_default_server"))


@pytest.mark.parametrize("loader", Loader)
@pytest.mark.parametrize("way", Way)
def test_state_is_read_at_the_top_and_the_mark_below(loader: Loader, way: Way) -> None:
    lines = only_text(replace(IMAGE, loader=loader, way=way)).splitlines()
    assert "#netboot debian12-x86_64-compute" in lines[:2]
    assert MARK in lines[:3]


@pytest.mark.parametrize("loader", Loader)
def test_bootif_is_not_said_twice(loader: Loader) -> None:
    doc = replace(IMAGE, loader=loader, cmdline="BOOTIF=01-52-54-00-00-00-01 quiet")
    assert only_text(doc).count("BOOTIF") == 1
    assert "IPAPPEND 2" not in only_text(doc)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"arch": "aarch64"}, "xnba cannot boot aarch64: set noderes.netboot to grub2"),
        ({"loader": Loader.PXE, "arch": "aarch64"}, "pxe cannot boot aarch64: set noderes.netboot to grub2"),
        ({"arch": "ppc64le"}, "xnba cannot boot ppc64le: no boot loader of Serval can"),
        ({"arch": ""}, "a node without nodetype.arch"),
        ({"loader": Loader.GRUB2, "macs": (), "ip": ""}, "neither is known: set mac.mac"),
        ({"loader": Loader.PXE, "macs": (), "ip": ""}, "neither is known: set mac.mac"),
        ({"node": "../n1"}, "no name for a boot file"),
        ({"node": "-n1"}, "no name for a boot file"),
        ({"node": ".."}, "no name for a boot file"),
        ({"node": "a/b"}, "no name for a boot file"),
        ({"node": ""}, "no name for a boot file"),
        ({"node": "n1.uefi"}, "the UEFI file of another node"),
        ({"loader": Loader.GRUB2, "node": "grub.cfg"}, "GRUB itself reads"),
        ({"loader": Loader.GRUB2, "node": "grub2.x86_64"}, "GRUB itself reads"),
        ({"macs": ("52:54:00:00:00:0G",)}, "no MAC address"),
        ({"macs": ("../../etc/passwd",)}, "no MAC address"),
        ({"ip": "10.0.0.256"}, "no IPv4 address"),
        ({"server": "sn1; reboot"}, "no host name"),
        ({"http_port": 0}, "no port"),
        ({"kernel": ""}, "no path of a kernel"),
        ({"kernel": "/etc/shadow"}, "no path of a kernel"),
        ({"kernel": "tftpboot/../etc/shadow"}, "no path of a kernel"),
        ({"initrd": "tftpboot/a b"}, "no path of a initrd"),
        ({"state": "boot\nexit"}, "its state has the character '\\n'"),
        ({"cmdline": "quiet\nexit"}, "a kernel argument has the character '\\n'"),
        ({"cmdline": "quiet \\"}, "a backslash"),
        ({"cmdline": "a" * 2000}, "2000 characters long"),
        ({"cmdline": "initrd=/other"}, "the boot loader itself says initrd="),
        ({"cmdline": "a=${net0/mac}"}, "iPXE cannot carry ${"),
        ({"state": "${net0/mac}"}, "iPXE cannot carry ${"),
        ({"cmdline": "quiet || shell"}, "iPXE would end the line there"),
        ({"cmdline": "#quiet"}, "iPXE would end the line there"),
        ({"loader": Loader.GRUB2, "cmdline": "a='b'"}, "grub2 would write a backslash"),
        ({"loader": Loader.GRUB2, "cmdline": 'a="b'}, "a double quote is never closed"),
        ({"loader": Loader.PXE, "cmdline": "-"}, "pxelinux reads it as none"),
    ],
)
def test_what_cannot_be_booted_is_refused_in_a_sentence(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(NodeError) as refused:
        render(replace(IMAGE, **change))  # type: ignore[arg-type]
    assert sentence in refused.value.message


def rendered(loader: Loader, state: str, cmdline: str) -> list[str] | None:
    try:
        return only_text(replace(IMAGE, loader=loader, state=state, cmdline=cmdline)).splitlines()
    except NodeError:
        return None


@given(state=hostile, cmdline=kernel_arguments)
def test_no_value_gets_out_of_an_ipxe_script(state: str, cmdline: str) -> None:
    lines = rendered(Loader.XNBA, state, cmdline)
    plain = only_text(replace(IMAGE, cmdline="")).splitlines()
    if lines is None:
        return
    assert [number for number, line in enumerate(lines) if line != plain[number]] in ([], [1], [3], [1, 3])
    expanded = lines[3].replace("${next-server}", "{server}").replace("${netX/mac:hexhyp}", "MAC")
    expanded = expanded.replace("${hostname}", "n1")
    assert "${" not in lines[1] + expanded
    command, _, *arguments, either, goto, label = expanded.split()
    assert (command, either, goto, label) == ("kernel", "||", "goto", "again")
    assert [word for word in arguments if not word.startswith("BOOTIF=01-MAC")] == [
        "initrd=initrd",
        *cmdline.split(),
    ]
    assert not any(word in {"||", "&&", ";"} or word.startswith("#") for word in arguments)


@given(state=hostile, cmdline=kernel_arguments)
def test_no_value_gets_out_of_a_grub_script(state: str, cmdline: str) -> None:
    lines = rendered(Loader.GRUB2, state, cmdline)
    plain = only_text(replace(IMAGE, loader=Loader.GRUB2, cmdline="")).splitlines()
    if lines is None:
        return
    assert [number for number, line in enumerate(lines) if line != plain[number]] in ([], [0], [3], [0, 3])
    asked = shlex.split(
        lines[3].replace("$net_default_server", "{server}").replace("$node", "n1").removesuffix("; then")
    )
    assert asked[:2] == ["if", "linux"]
    assert asked[3:] == [*shlex.split(cmdline), "BOOTIF=01-$net_default_mac"] or not shlex.split(cmdline)


@given(state=hostile, cmdline=kernel_arguments)
def test_no_value_gets_out_of_a_pxelinux_file(state: str, cmdline: str) -> None:
    lines = rendered(Loader.PXE, state, cmdline)
    if lines is None:
        return
    assert [line.split()[0] for line in lines[2:] if not line.startswith("APPEND ")] == [
        "DEFAULT", "LABEL", "LINUX", "INITRD", "IPAPPEND",
    ]  # fmt: skip
    assert [line.split()[1:] for line in lines if line.startswith("APPEND ")] == [cmdline.split()] * bool(
        cmdline.split()
    )


@given(node=hostile, mac=hostile, ip=hostile)
def test_no_name_leads_out_of_the_folder(node: str, mac: str, ip: str) -> None:
    for loader in Loader:
        try:
            paths = render(replace(IMAGE, loader=loader, node=node, macs=(mac,), ip=ip))
        except NodeError:
            continue
        assert all(path.startswith(LOADERS[loader].folder + "/") and ".." not in path for path in paths)
        assert all(path.count("/") == LOADERS[loader].folder.count("/") + 1 for path in paths)


def test_every_client_of_a_loader_gets_a_file_that_its_firmware_has() -> None:
    for loader in Loader:
        clients = dhcp_boot_files(loader)
        assert set(clients.values()) <= {firmware.file for firmware in LOADERS[loader].firmware}
    assert dhcp_boot_files(Loader.XNBA)[0] == "xcat/xnba.kpxe"
    assert dhcp_boot_files(Loader.GRUB2)[11] == "boot/grub2/grub2.aarch64"
    assert dhcp_boot_files(Loader.PXE) == {0: "pxelinux.0"}
    assert HTTP_CLIENTS.isdisjoint({0, 6, 7, 9, 10, 11})


def test_a_client_that_is_ipxe_already_is_sent_to_its_script() -> None:
    assert script_of(Loader.XNBA, "n1") == "http://${next-server}:80/tftpboot/xcat/xnba/nodes/n1"
    assert script_of(Loader.XNBA, "n1", 8080, "sn1") == "http://sn1:8080/tftpboot/xcat/xnba/nodes/n1"
    assert script_of(Loader.GRUB2, "n1") is None
