"""nodeset on both databases: what it writes, what it refuses by node, and what it leaves alone."""

import json
import re
from pathlib import Path

import pytest
from commands import Shell

from core.bootdoc import BootDoc, Loader, Way, from_text
from core.imagedoc import Copy
from core.wanted import Kind
from db import events, imagecopies, jobs, wanted
from db.engine import open_engine, reading, writing
from db.home import open_home
from drivers import leases
from drivers.services import redis as embedded
from routing import imagewishes
from routing import nodeset as rules

CLUSTER = """\
mkdef -t node -o sn1,sn2 groups=service setuptftp=1
chdef sn1 ip=10.0.0.11
chdef sn2 ip=10.0.0.12
mkdef -t node -o n[1-4] groups=compute netboot=xnba servicenode=sn1,sn2 serialport=0 serialspeed=115200
chdef -t group compute 'ip=|n(\\d+)|10.0.1.($1)|'
chdef n1 mac=52:54:00:00:00:01
chdef n2 mac=52:54:00:00:00:02
chdef n3 mac=52:54:00:00:00:03
chdef n4 mac=52:54:00:00:00:04
mkdef -t network prov net=10.0.0.0 mask=255.255.0.0
chdef -t site sharedtftp=0
mkdef -t osimage compute osvers=debian12 osarch=x86_64 profile=compute provmethod=netboot
mkdef -t osimage disk osvers=debian12 osarch=x86_64 profile=compute provmethod=install
"""
STATE = "netboot debian12-x86_64-compute"


@pytest.fixture
def shell(home_env: dict[str, str], redis: embedded.RunningRedis, tmp_path: Path) -> Shell:
    """A pool of two with four nodes; the management node has no images of its own."""
    with leases.connect(redis.url) as client:
        client.flushall()
    root = {"SERVAL_ROOT": str(tmp_path / "root")}
    made = Shell({**home_env, "SERVAL_BROKER": redis.url, **root}, tmp_path)
    for line in CLUSTER.splitlines():
        made.ok(line)
    return made


def set_to(shell: Shell, words: str) -> None:
    """nodeset without waiting for the service nodes, which are not there."""
    assert re.fullmatch(r"job \d+\n", shell.ok(f"nodeset {words} --no-wait"))


def documents(shell: Shell, kind: Kind = Kind.BOOT) -> dict[str, str]:
    with reading(open_engine(shell.env["SERVAL_DATABASE"])) as connection:
        return wanted.documents(connection, kind, ["n1", "n2", "n3", "n4", "sn1"])


def document(shell: Shell, node: str) -> BootDoc:
    return from_text(documents(shell)[node])


def members(shell: Shell, kind: Kind, node: str) -> tuple[str, ...]:
    with reading(open_engine(shell.env["SERVAL_DATABASE"])) as connection:
        return wanted.members_of(connection, kind, [node])[node]


def refusals(shell: Shell, words: str) -> dict[str, str]:
    """node → the sentence, of a nodeset that cannot do some of them."""
    answer = shell.run(f"nodeset {words} --plan --json")
    told = [json.loads(line) for line in answer.out.splitlines()]
    found = {one["node"]: one["message"] for one in told if one["message"]}
    assert answer.status == (1 if found else 0)
    return found


def make_image(shell: Shell, *names: str, folder: str = "install/netboot/debian12/x86_64/compute") -> None:
    place = Path(shell.env["SERVAL_ROOT"]) / folder
    place.mkdir(parents=True, exist_ok=True)
    for name in names:
        (place / name).touch()


def test_what_is_written_once_for_the_whole_pool(shell: Shell) -> None:
    set_to(shell, "compute osimage=compute")
    found = document(shell, "n1")
    assert (found.state, found.way, found.loader, found.ip) == (STATE, Way.IMAGE, Loader.XNBA, "10.0.1.1")
    assert found.macs == ("52:54:00:00:00:01",)
    assert found.kernel == "install/netboot/debian12/x86_64/compute/kernel"
    assert found.server == ""
    assert found.cmdline.split()[1:] == [
        "SERVAL={server}:3002",
        "NODE=n1",
        "console=tty0",
        "console=ttyS0,115200",
    ]
    assert members(shell, Kind.BOOT, "n1") == members(shell, Kind.DHCP, "n1") == ("sn1", "sn2")
    listed = shell.ok("nodels n1 chain.currstate nodetype.provmethod nodetype.os nodelist.status")
    for value in (f"chain.currstate: {STATE}", "provmethod: compute", "os: debian12", "status: defined"):
        assert value in listed
    assert shell.ok("nodeset n[1-2] stat") == f"n1: {STATE}\nn2: {STATE}\n"


def test_the_same_again_writes_nothing(shell: Shell) -> None:
    set_to(shell, "compute osimage=compute")
    before = [shell.ok(f"tabdump {table}") for table in ("chain", "nodetype", "nodelist")]
    with reading(open_engine(shell.env["SERVAL_DATABASE"])) as connection:
        revisions = [wanted.last(connection, kind) for kind in Kind]
    shell.ok("chdef n1 status=booted")
    set_to(shell, "compute osimage=compute")
    with reading(open_engine(shell.env["SERVAL_DATABASE"])) as connection:
        assert [wanted.last(connection, kind) for kind in Kind] == revisions
    assert "booted" in shell.ok("nodels n1 nodelist.status")
    shell.ok("chdef n1 status=defined")
    assert [shell.ok(f"tabdump {table}") for table in ("chain", "nodetype", "nodelist")] == before


def test_values_that_the_group_has_are_not_written_for_each_node(shell: Shell) -> None:
    shell.ok("chdef -t group compute os=debian12 arch=x86_64 profile=compute provmethod=compute")
    set_to(shell, "compute osimage")
    assert [line.partition(",")[0] for line in shell.ok("tabdump nodetype").splitlines()[1:]] == ['"compute"']
    assert document(shell, "n1").state == STATE


def test_the_disk_takes_a_diskless_image_away_and_offline_everything(shell: Shell) -> None:
    set_to(shell, "n1 osimage=compute")
    set_to(shell, "n1 boot")
    assert "provmethod: \n" in shell.ok("nodels n1 nodetype.provmethod nodetype.os")
    assert document(shell, "n1").way is Way.LOCAL
    set_to(shell, "n1 offline")
    assert shell.ok("nodeset n1 stat") == "n1: offline\n"
    assert "n1" not in documents(shell) and "n1" not in documents(shell, Kind.DHCP)


def test_nodes_that_were_removed_leave_their_addresses_to_others(shell: Shell) -> None:
    set_to(shell, "n[1-2] osimage=compute")
    shell.ok("rmdef n1")
    shell.ok("mkdef -t node -o n9 groups=compute ip=10.0.1.1 mac=52:54:00:00:00:01 netboot=grub2")
    shell.ok("chdef n9 servicenode=sn1,sn2")
    shell.ok("makedhcp n9 --no-wait")
    set_to(shell, "n9 osimage=compute")
    with reading(open_engine(shell.env["SERVAL_DATABASE"])) as connection:
        for kind in (Kind.BOOT, Kind.DHCP):
            assert wanted.names(connection, kind) == ["n2", "n9"]
            changes = wanted.changes(connection, kind, ["sn1"], 1)
            assert [(one.name, one.document is None) for one in changes] == [("n1", True), ("n9", False)]


def test_an_installed_node_goes_on_to_its_disk(shell: Shell) -> None:
    set_to(shell, "n1 osimage=disk,boot")
    set_to(shell, "n2 osimage=disk")
    assert "auto=true" in document(shell, "n1").cmdline
    assert shell.ok("nodeset n1,n2,n3 next") == "n1: boot\nn2: boot\nn3: offline\n"
    found = document(shell, "n1")
    assert (found.way, found.macs, found.cmdline) == (Way.LOCAL, ("52:54:00:00:00:01",), "")
    assert members(shell, Kind.BOOT, "n1") == ("sn1", "sn2")
    assert shell.ok("nodeset n1 next") == "n1: boot\n"


def test_a_chain_that_nobody_can_read_hurts_its_node_alone(shell: Shell) -> None:
    set_to(shell, "n1,n2 osimage=disk")
    shell.ok("chtab node=n1 chain.currchain=nonsense")
    answer = shell.run("nodeset n1,n2 next")
    assert (answer.status, answer.out) == (1, "n2: boot\n")
    assert "n1: Error: nodeset does not know 'nonsense'" in answer.err


def test_one_tftpdir_for_all_belongs_to_the_management_node(shell: Shell) -> None:
    shell.ok("chdef -t site sharedtftp=1")
    set_to(shell, "n1 osimage=compute")
    assert members(shell, Kind.BOOT, "n1") == ("mn1",)
    assert members(shell, Kind.DHCP, "n1") == ("sn1", "sn2")


def test_dhcp_is_left_alone_where_the_site_says_so(shell: Shell) -> None:
    shell.ok("chdef -t site dhcpsetup=n")
    set_to(shell, "n1 boot")
    assert documents(shell, Kind.DHCP) == {}


def test_the_status_is_left_alone_where_the_site_says_so(shell: Shell) -> None:
    shell.ok("chdef -t site nodestatus=n")
    set_to(shell, "n1 osimage=compute")
    assert "defined" not in shell.ok("nodels n1 nodelist.status chain.currstate")


def test_servers_are_named_without_a_pool_alone(shell: Shell) -> None:
    shell.ok("chdef n1 servicenode=sn1 xcatmaster=10.0.0.21 nfsserver=10.0.0.22")
    shell.ok("chtab node=n2 noderes.xcatmaster=10.0.0.21")
    set_to(shell, "n1,n2 osimage=compute")
    found = document(shell, "n1")
    assert found.server == "10.0.0.21"
    assert "imgurl=http://10.0.0.22:80/" in found.cmdline and "SERVAL=10.0.0.21:3002" in found.cmdline
    assert "10.0.0.2" not in documents(shell)["n2"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("chdef n1 mac=", "No MAC address available for n1"),
        ("chdef n1 mac=52:54:00:00:00:02", "n[1-2] have the same MAC address 52:54:00:00:00:02"),
        ("chdef n1 mac=rubbish", "rubbish"),
        ("chdef n1 netboot=pxe arch=aarch64", ""),
        ("chdef n1 netboot=petitboot", "noderes.netboot is 'petitboot'"),
        ("chdef n1 ip=192.168.1.1", "in no network of the networks table"),
        ("chdef n1 servicenode=nobody", "not a service node"),
        ("chdef n1 serialspeed=fast", "serialspeed is 'fast'"),
        ("chdef n1 addkcmdline='a ${net0/ip} b'", "iPXE cannot carry ${"),
        ("chdef n1 tftpdir=../x", "no absolute path"),
        ("chdef n1 'ip=|n(\\d+)|($1/0)|'", "hosts.ip of n1"),
    ],
)
def test_bad_input_is_named_by_node_and_the_others_go_on(shell: Shell, change: str, said: str) -> None:
    shell.ok(change)
    found = refusals(shell, "n1,n3 osimage=compute")
    if said:
        assert said in found["n1"]
    assert "n3" not in found
    set_to(shell, "n1,n3 osimage=compute")
    assert set(documents(shell)) == ({"n3"} if said else {"n1", "n3"})
    with reading(open_engine(shell.env["SERVAL_DATABASE"])) as connection:
        ended = jobs.results(connection, jobs.recent(connection, 1)[0].id)
    assert [one.node for one in ended] == (["n1"] if said else [])


def test_a_node_out_of_its_service_nodes_reach_is_named(shell: Shell) -> None:
    shell.ok("mkdef -t network far net=10.7.0.0 mask=255.255.0.0")
    shell.ok("chdef n1 ip=10.7.0.1")
    assert "in no network of its service nodes sn1, sn2" in refusals(shell, "n1,n2 boot")["n1"]
    shell.ok("chdef -t network far 'mgtifname=!remote!eth0'")
    assert refusals(shell, "n1,n2 boot") == {}


def test_an_image_is_looked_for_where_the_management_node_has_it(shell: Shell) -> None:
    shell.ok("chdef -t site installloc=/install")
    make_image(shell, "kernel", "initrd-stateless.gz")
    assert "osimage compute is not packed" in refusals(shell, "n1 osimage=compute")["n1"]
    make_image(shell, "rootimg.cpio.gz")
    assert refusals(shell, "n1 osimage=compute") == {}
    set_to(shell, "n1 osimage=compute")
    assert "/rootimg.cpio.gz " in document(shell, "n1").cmdline
    assert "copycds puts the media of debian12 there" in refusals(shell, "n1 osimage=disk")["n1"]


def test_an_image_that_no_service_node_has_is_refused_and_asked_for(shell: Shell) -> None:
    make_image(shell, "kernel", "initrd-stateless.gz", "rootimg.sfs")
    shell.ok("chdef n2 servicenode=sn2,sn1")
    shell.ok("chdef n3 servicenode=mn1")
    found = refusals(shell, "compute osimage=compute")
    assert set(found) == {"n1", "n2", "n4"}, "the management node has it"
    assert "has osimage compute as it is now (sn1: none; sn2: none)" in found["n1"]
    assert "(sn2: none; sn1: none)" in found["n2"]
    assert image_members(shell) == (), "--plan asks for nothing"
    set_to(shell, "compute osimage=compute")
    assert image_members(shell) == ("mn1", "sn1", "sn2")
    assert set(documents(shell)) == {"n3"}

    with writing(open_engine(shell.env["SERVAL_DATABASE"])) as connection:
        (stood,) = imagewishes.standing(connection).values()
        version = stood.doc.version
        imagecopies.note(connection, Copy("compute", "sn1.cluster", version, 0, 1.0))
        imagecopies.note(connection, Copy("compute", "sn2", coming=version, percent=43))
    assert refusals(shell, "compute osimage=compute") == {}
    set_to(shell, "compute osimage=compute")
    with reading(open_engine(shell.env["SERVAL_DATABASE"])) as connection:
        told = events.of_job(connection, jobs.recent(connection, 1)[0].id)
    behind = [(one.sn, one.nodes, one.message) for one in told if one.kind == "behind"]
    said = "sn2 does not have osimage compute yet (fetching 43 %)"
    assert sorted(behind) == [("sn2", "n2", said), ("sn2", "n[1,4]", said)]

    make_image(shell, "kernel")
    (Path(shell.env["SERVAL_ROOT"]) / "install/netboot/debian12/x86_64/compute/kernel").write_text("newer")
    assert "(sn1: behind; sn2: behind)" in refusals(shell, "n1 osimage=compute")["n1"].replace(
        "none", "behind"
    )


def test_who_failed_is_asked_again_by_the_next_nodeset(shell: Shell) -> None:
    make_image(shell, "kernel", "initrd-stateless.gz", "rootimg.sfs")
    set_to(shell, "n1 osimage=compute")
    engine = open_engine(shell.env["SERVAL_DATABASE"])
    with writing(engine) as connection:
        (stood,) = imagewishes.standing(connection).values()
        said = Copy("compute", "sn2", coming=stood.doc.version, problem="the disk is full", at=5.0)
        imagecopies.note(connection, said)
    before = image_revision(shell)
    assert "(sn1: none; sn2: failed: the disk is full)" in refusals(shell, "n1 osimage=compute")["n1"]
    set_to(shell, "n1 osimage=compute")
    assert image_revision(shell) == before + 1
    set_to(shell, "n1 osimage=compute")
    assert image_revision(shell) == before + 1, "it did not fail since"
    shown = shell.run("serval images compute --json")
    assert shown.status == 1
    assert [json.loads(line)["state"] for line in shown.out.splitlines()] == ["none", "none", "failed"]
    assert "failed  -      sn2            the disk is full" in shell.run("serval images").out
    assert "no service node shall have osimage disk" in shell.run("serval images disk").err


def test_media_and_roots_that_no_service_node_has_are_refused_and_asked_for(shell: Shell) -> None:
    media, names = "install/debian12/x86_64", ("linux", "initrd.gz")
    make_image(shell, *names, folder=f"{media}/debian-installer/amd64")
    shell.ok("mkdef -t osimage second osvers=debian12 osarch=x86_64 profile=other provmethod=install")
    assert (
        f"has the media {media} as it is now (sn1: none; sn2: none)"
        in refusals(shell, "n1 osimage=disk")["n1"]
    )
    set_to(shell, "n1 osimage=disk")
    assert image_members(shell, media) == ("mn1", "sn1", "sn2")
    engine = open_engine(shell.env["SERVAL_DATABASE"])
    with writing(engine) as connection:
        (stood,) = imagewishes.standing(connection).values()
        imagecopies.note(connection, Copy(media, "sn2", stood.doc.version, 0, 1.0))
    shown = shell.run("serval images disk")
    assert (shown.status, "current" in shown.out) == (1, True)
    told = refusals(shell, "n1,n2 osimage=disk")
    assert not any("media" in said for said in told.values()), "one member of the pool is enough"

    make_image(shell, "added.deb", folder=media)
    shell.run("serval images --look second")
    with reading(engine) as connection:
        (stood,) = imagewishes.standing(connection).values()
    assert stood.copies["sn2"].brief(stood.doc.version) == "behind"
    assert f"media {media} as it is now (sn1: none; sn2: behind)" in refusals(shell, "n1 osimage=disk")["n1"]
    assert "there is no osimage nowhere" in shell.run("serval images --look nowhere").err
    shell.ok("rmdef -t osimage disk,second")
    assert image_members(shell, media) == ()

    shell.ok("mkdef -t osimage lite osvers=debian12 osarch=x86_64 profile=compute provmethod=statelite")
    make_image(shell, "kernel-statelite", "initrd-statelite.gz", "rootimg-statelite")
    assert "run liteimg lite" in refusals(shell, "n1 osimage=lite")["n1"]
    make_image(shell, "rootimg-statelite.nfs.tar.zst")
    assert "has osimage lite as it is now (sn1: none; sn2: none)" in refusals(shell, "n1 osimage=lite")["n1"]
    set_to(shell, "n1 osimage=lite")
    assert image_members(shell, "lite") == ("mn1", "sn1", "sn2")


def image_revision(shell: Shell) -> int:
    with reading(open_engine(shell.env["SERVAL_DATABASE"])) as connection:
        return wanted.last(connection, Kind.IMAGE)


def test_a_later_step_of_a_chain_asks_for_its_image(shell: Shell) -> None:
    make_image(shell, "kernel", "initrd-stateless.gz", "rootimg.sfs")
    set_to(shell, "n1 boot,osimage=compute")
    assert image_members(shell) == ("mn1", "sn1", "sn2")


def image_members(shell: Shell, name: str = "compute") -> tuple[str, ...]:
    with reading(open_engine(shell.env["SERVAL_DATABASE"])) as connection:
        return wanted.members_of(connection, Kind.IMAGE, [name]).get(name, ())


def test_the_genesis_image_is_looked_for_in_tftpdir(shell: Shell) -> None:
    assert "tftpboot/xcat/genesis.kernel.x86_64" in refusals(shell, "n1 shell")["n1"]
    make_image(shell, "genesis.kernel.x86_64", "genesis.fs.x86_64.gz", folder="tftpboot/xcat")
    set_to(shell, "n1 runcmd=bmcsetup,osimage=compute")
    assert document(shell, "n1").cmdline.startswith("destiny=runcmd=bmcsetup SERVAL=")
    assert shell.ok("nodeset n1 next") == f"n1: {STATE}\n"


def test_service_and_compute_nodes_may_be_asked_for_together(shell: Shell) -> None:
    shell.ok("chdef sn1 netboot=grub2 mac=52:54:00:00:01:01 servicenode=mn1")
    set_to(shell, "sn1,n1 boot")
    assert members(shell, Kind.BOOT, "sn1") == ("mn1",)


def test_the_seed_documents_words(shell: Shell) -> None:
    shell.ok("chdef -t group compute os=debian12 arch=x86_64 profile=compute")
    set_to(shell, "compute netboot")
    assert document(shell, "n1").state == STATE
    assert "provmethod: compute" in shell.ok("nodels n1 nodetype.provmethod nodetype.os")
    assert (
        "no osimage debian12-x86_64-statelite-compute. Make it with" in refusals(shell, "n1 statelite")["n1"]
    )


@pytest.mark.parametrize("words", ["n1", "n1 nonsense", "nosuch boot", "n1 osimage=a,", "n1 enact"])
def test_what_cannot_be_asked_leaves_nothing(shell: Shell, words: str) -> None:
    answer = shell.run(f"nodeset {words}")
    assert (answer.status, answer.out) == (1, "")
    assert answer.err.startswith("Error: ")
    assert documents(shell) == {}


def test_advancing_needs_no_word_with_anybody(shell: Shell) -> None:
    """The status receiver's way: within its own transaction, no job."""
    set_to(shell, "n1 osimage=disk")
    engine, home = open_engine(shell.env["SERVAL_DATABASE"]), open_home(shell.env)
    with writing(engine) as connection:
        made = rules.advance(connection, ["n1", "n2"], home, 0.0)
    assert {node: decision.state for node, decision in made.decisions.items()} == {"n1": "boot"}
    with reading(engine) as connection:
        assert len(jobs.recent(connection, 10)) == 1


def test_a_nodeset_is_run_again_and_not_retried(shell: Shell) -> None:
    shell.ok("chdef n1 mac=")
    set_to(shell, "n1 boot")
    answer = shell.run("serval retry 1")
    assert (answer.status, "run that command again" in answer.err) == (1, True)
