"""chtab, gettab, tabedit, tabgrep, tabprune, nodech and its like, whole dumps: what they print and do."""

import sys
from pathlib import Path

import pytest
from commands import Answer, Shell


@pytest.fixture
def shell(home_env: dict[str, str], tmp_path: Path) -> Shell:
    """Somebody with three nodes."""
    one = Shell(home_env, tmp_path)
    one.ok("mkdef n[1-3] groups=all,x mgt=ipmi")
    one.ok("chtab key=domain site.value=c.net")
    return one


def body(shell: Shell, table: str) -> list[str]:
    """The rows of a table without the unset end."""
    return [line.rstrip(",") for line in shell.ok(f"tabdump {table}").splitlines()[1:]]


@pytest.mark.parametrize(
    ("lines", "table", "expected"),
    [
        (["chtab key=a site.value=1", "chtab key=a site.value=2"], "site", ['"a","2"', '"domain","c.net"']),
        (["chtab -d key=domain site"], "site", []),
        (["chtab key=domain site.value=NULL"], "site", ['"domain"']),
        (["chtab key=domain site.value+=b", "chtab key=domain site.value+=b,d"], "site",
         ['"domain","c.net,b,d"']),
        (["chtab key=ipmi,username=u passwd.password=p"], "passwd", ['"ipmi","u","p"']),
        (["chtab node=x nodepos.rack=r1 nodepos.u=4"], "nodepos", ['"x","r1","4"']),
        (["chtab node=n1,switch=s,port=1 switch.vlan=7", "chtab node=n1,switch=s,port=2 switch.vlan=8",
          "chtab switch=s switch.interface=eth0"], "switch",
         ['"n1","s","1","7","eth0"', '"n1","s","2","8","eth0"']),
    ],
)  # fmt: skip
def test_chtab(shell: Shell, lines: list[str], table: str, expected: list[str]) -> None:
    for line in lines:
        assert shell.run(line) == Answer(0, "", "")
    assert body(shell, table) == expected


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("chtab key=a nosuch.value=1", "Table nosuch does not exist"),
        ("chtab key=a site.nosuch=1", "not a valid table.column"),
        ("chtab nosuch=a site.value=1", "Unknown key nosuch"),
        ("chtab key=a,b=c site.value=1", "Unknown key b"),
        ("chtab site.value=1 site.value=2", "names no row"),
        ("chtab key=a site.value", "not of the form"),
        ("chtab key=a site.value=********", "hidden value"),
        ("chtab -d key=a nosuch", "No such table"),
        ("chtab value=zzz site.comments=1", "needs key"),
        ("gettab key=a nosuch.x", "does not exist"),
        ("nodech n1 site.value=1", "not about nodes"),
        ("nodech n1 nodehm.nosuch=1", "not a valid table.column"),
        ("nodech nosuch nodehm.mgt=1", "Invalid nodes"),
        ("nodech -d n1 nodehm.mgt", "no table of nodes"),
        ("nodech n1 nodehm", "not of the form"),
        ("nodech n1 nodelist.node=z", "chdef -n"),
        ("nodegrpch x nodehm.mgt,=z", "not supported"),
        ("nodegrpch nosuch nodehm.mgt=z", "Could not find"),
        ("nodegrpch x groups=z", "not changeable"),
        ("nodeadd n9 nodehm.mgt=ipmi", "No groups"),
        ("nodeadd n/9 groups=all", "no name for a node"),
        ("noderm nosuch", "Invalid nodes"),
        ("tabgrep nosuch", "Invalid nodes"),
        ("tabprune site -n 1", "is no log"),
        ("tabprune auditlog", "required"),
        ("restorexCATdb -p nowhere", "cannot be read"),
        ("tabdump -f x", "need a table"),
        ("lsdef --template nosuch", "no template"),
        ("mkdef --template nosuch n9 groups=all", "no template"),
        ("mkdef --template x86_64-template n9 ip=1.1.1.1", "needs: bmc"),
        ("mkdef -t network new gateway=1.1.1.1", "needs net"),
        ("chdef -t osimage o nosuch=1", "not a valid attribute"),
    ],
)
def test_what_is_refused_changes_nothing(shell: Shell, line: str, part: str) -> None:
    tables = ("site", "nodelist", "nodehm", "networks", "osimage", "nodepos")
    before = [shell.ok(f"tabdump {table}") for table in tables]
    answer = shell.run(line)
    assert answer.status == 1
    assert part in answer.err
    if "osimage" not in line:
        assert [shell.ok(f"tabdump {table}") for table in tables] == before


def test_gettab(shell: Shell) -> None:
    assert shell.ok("gettab key=domain site.value") == "c.net\n"
    assert shell.ok("gettab -H key=domain site.value") == "site.value: c.net\n"
    assert shell.ok("gettab key=domain site.value site.key") == "site.value: c.net\nsite.key: domain\n"
    assert shell.ok("gettab key=nosuch site.value") == ""


def test_tabgrep_finds_rows_of_groups_too(shell: Shell) -> None:
    shell.ok("chtab node=x nodepos.rack=r1")
    shell.ok("chtab node=other noderes.netboot=xnba")
    assert shell.ok("tabgrep n1") == "nodehm\nnodelist\nnodepos\n"


def test_nodech_prepends_removes_and_takes_literally(shell: Shell) -> None:
    shell.ok("nodech n1 groups,=a,b groups^=x")
    shell.ok("nodech all nodehm.mgt==ipmi nodepos.room=@=q")
    shell.ok("nodech all nodehm.mgt!=ipmi nodepos.room=no")
    assert shell.ok("nodels n1 groups nodepos.room") == "n1: nodelist.groups: b,a,all\nn1: nodepos.room: =q\n"


def test_nodech_hides_the_value_of_a_group(shell: Shell) -> None:
    shell.ok("nodegrpch x nodepos.rack=r1")
    shell.ok("nodech n1 nodepos.rack=")
    assert shell.ok("nodels n1-n2 nodepos.rack") == "n1: \nn2: r1\n"
    assert '"n1","|^.*$||"' in body(shell, "nodepos")


def test_nodegrpch_takes_away_what_hides_the_group(shell: Shell) -> None:
    shell.ok("nodech n1 nodepos.rack=own nodepos.u=3")
    shell.ok("nodegrpch x nodepos.rack=r1")
    assert shell.ok("nodels n1 nodepos.rack nodepos.u -b") == (
        "n1: nodepos.rack: r1 (inherited from group x)\nn1: nodepos.u: 3\n"
    )


def test_nodeadd_and_noderm(shell: Shell) -> None:
    assert shell.run("nodeadd N[4-5] groups=all,y nodehm.mgt=ipmi").err.count("capital letters") == 2
    assert shell.ok("nodels y groups") == "N4: all,y\nN5: all,y\n"
    shell.ok("noderm y")
    assert [line for line in body(shell, "nodehm") if "N" in line] == []
    assert shell.ok("nodels").split() == ["n1", "n2", "n3"]


def test_nodech_deletes_rows(shell: Shell) -> None:
    shell.ok("nodech -d n1,n2 nodehm")
    assert body(shell, "nodehm") == ['"n3",,"ipmi"']


LOG = "#recid,audittime,userid\n" + "".join(f'"{i}","2020-01-{i:02} 00:00:00","u"\n' for i in range(1, 11))


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ("-n 3", 7), ("-n 30", 0), ("-p 50", 5), ("-i 4", 7), ("-d 30", 0), ("-d 99999", 10), ("-a", 0),
    ],
)  # fmt: skip
def test_tabprune_takes_the_oldest(shell: Shell, tmp_path: Path, options: str, left: int) -> None:
    (tmp_path / "auditlog.csv").write_text(LOG)
    shell.ok("tabrestore auditlog.csv")
    assert len(shell.ok("tabdump -n 2 auditlog").splitlines()) == 3
    assert shell.ok(f"tabprune auditlog {options}") == "tabprune of auditlog complete.\n"
    found = [int(line.split('"')[1]) for line in shell.ok("tabdump -n 99 auditlog").splitlines()[1:]]
    assert found == list(range(11 - left, 11))


def test_tabprune_shows_what_goes(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "auditlog.csv").write_text(LOG)
    shell.ok("tabrestore auditlog.csv")
    assert shell.ok("tabprune auditlog -V -n 1").splitlines()[1].startswith('"1","2020-01-01 00:00:00"')


def edit(shell: Shell, editor: str, line: str) -> Answer:
    return Shell({**shell.env, "EDITOR": editor, "VISUAL": "", "TABEDITOR": ""}, shell.cwd).run(line)


def test_tabedit_stores_what_was_changed(shell: Shell) -> None:
    assert edit(shell, "sed -i s/c.net/d.net/", "tabedit site") == Answer(0, "", "")
    assert body(shell, "site") == ['"domain","d.net"']
    assert edit(shell, "true", "tabedit site").out.startswith("No changes")


@pytest.mark.parametrize(
    ("editor", "part"),
    [
        ("false", "ended with status 1"), ("/nonexistent/editor", "cannot be started"),
        ("'", "cannot be started"), ("sed -i s/#key/#nokey/", "has no column 'nokey'"),
        ("sed -i '2s/.*/one,two/'", "your text is kept in"),
    ],
)  # fmt: skip
def test_tabedit_keeps_a_text_that_does_not_fit(shell: Shell, editor: str, part: str) -> None:
    answer = edit(shell, editor, "tabedit site")
    assert answer.status == 1
    assert part in answer.err
    assert body(shell, "site") == ['"domain","c.net"']


def test_tabedit_notices_another_writer(shell: Shell, tmp_path: Path) -> None:
    script = tmp_path / "editor"
    script.write_text(
        f"#!/bin/sh\nsed -i s/c.net/mine/ $1\ncd {Path(__file__).parents[2]}\n"
        f'{sys.executable} -c \'from cli.entry import main; main("chtab", "r")\''
        " key=domain site.value=theirs\n"
    )
    script.chmod(0o755)
    answer = edit(shell, str(script), "tabedit site")
    assert (answer.status, "somebody else" in answer.err) == (1, True)
    assert body(shell, "site") == ['"domain","theirs"']


def test_a_dump_of_everything_restores_everything(shell: Shell, tmp_path: Path) -> None:
    shell.ok("chtab key=ipmi,username=u passwd.password=s")
    assert shell.ok("dumpxCATdb -p dump") == "Backup Complete.\n"
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "dump").iterdir()} == {0o600}
    assert not (tmp_path / "dump" / "auditlog.csv").exists()
    tables = [file.stem for file in (tmp_path / "dump").iterdir()]
    before = [shell.ok(f"tabdump {table}") for table in tables]
    shell.ok("noderm n1-n2")
    shell.ok("tabprune passwd -a")
    assert shell.ok("restorexCATdb -p dump") == "Restore of Database Complete.\n"
    assert [shell.ok(f"tabdump {table}") for table in tables] == before


def test_one_bad_file_restores_nothing(shell: Shell, tmp_path: Path) -> None:
    shell.ok("dumpxCATdb -a -p dump")
    shell.ok("noderm n1")
    (tmp_path / "dump" / "site.csv").write_text('#key,value\n"a"\n')
    assert shell.run("restorexCATdb -p dump").status == 1
    assert shell.ok("nodels").split() == ["n2", "n3"]


def test_tables_left_out(shell: Shell, tmp_path: Path) -> None:
    shell.ok("chtab key=skiptables site.value=mac,vpd")
    Shell({**shell.env, "XCAT_SKIPTABLES": "ipmi"}, shell.cwd).ok("dumpxCATdb -a -p dump")
    assert not {"mac", "vpd", "ipmi"} & {file.stem for file in (tmp_path / "dump").iterdir()}


def test_tabdump_into_a_file(shell: Shell, tmp_path: Path) -> None:
    assert shell.ok("tabdump -f out.csv site") == ""
    assert (tmp_path / "out.csv").read_text() == shell.ok("tabdump site")
    assert (tmp_path / "out.csv").stat().st_mode & 0o777 == 0o600


def test_lsxcatd(shell: Shell, database_url: str) -> None:
    out = shell.ok("lsxcatd -a")
    assert out.startswith("Version ")
    assert "This is a Management Node\n" in out
    assert f"dbengine={'SQLite' if database_url.startswith('sqlite') else 'Pg'}\n" in out
    shell.ok("chdef n1 setupnfs=0")
    assert Shell({**shell.env, "SERVAL_NAME": "n1"}, shell.cwd).ok("lsxcatd -t") == "This is a Service Node\n"


def test_every_table_and_type_is_documented(shell: Shell) -> None:
    for table in shell.ok("tabdump").split():
        for line in shell.ok(f"tabdump -d {table}").splitlines():
            assert line.strip().partition("\t")[2], (table, line)
    for objtype in ("node", "group", "site", "osimage", "network", "route", "policy", "notification"):
        assert "The valid attribute names" in shell.ok(f"lsdef -t {objtype} -h")
    assert "setupnfs  (servicenode.nfsserver)" in shell.ok("chdef -t node -h")


PLAIN = [
    ("network", "net1 net=10.0.0.0 mask=255.0.0.0 gateway=10.0.0.1", "gateway"),
    ("route", "r1 net=10.0.0.0 mask=255.0.0.0 gateway=10.0.0.1", "gateway"),
    ("osimage", "img provmethod=netboot pkglist=/a usercomment=c", "pkglist"),
    ("policy", "1.5 name=root rule=allow", "rule"),
    ("notification", "/a/b.pm tables=nodelist tableops=a", "tableops"),
    ("monitoring", "snmpmon nodestatmon=N", "nodestatmon"),
    ("zone", "z1 sshbetweennodes=yes", "sshbetweennodes"),
    ("rack", "rack1 num=3", "num"),
    ("boottarget", "b1 kernel=/k", "kernel"),
]


@pytest.mark.parametrize(("objtype", "words", "attribute"), PLAIN, ids=[one[0] for one in PLAIN])
def test_objects_that_are_rows(shell: Shell, objtype: str, words: str, attribute: str) -> None:
    name = words.split()[0]
    shell.ok(f"mkdef -t {objtype} {words}")
    assert shell.run(f"mkdef -t {objtype} {words}").status == 1
    assert shell.ok(f"lsdef -t {objtype}") == f"{name}  ({objtype})\n"
    shell.ok(f"chdef -t {objtype} -o {name} -p {attribute}=more")
    assert ",more\n" in shell.ok(f"lsdef -t {objtype} {name} -i {attribute}")
    stanzas = shell.ok(f"lsdef -t {objtype} -z")
    shell.ok(f"rmdef -t {objtype} {name}")
    shell.ok("mkdef -z", stdin=stanzas)
    assert shell.ok(f"lsdef -t {objtype} -z") == stanzas
    shell.ok(f"chdef -t {objtype} {name} -n other")
    assert shell.ok(f"lsdef -t {objtype}") == f"other  ({objtype})\n"
    assert shell.ok(f"lsdef -t {objtype} -w {attribute}=~more") == f"other  ({objtype})\n"


def test_two_networks_do_not_share_their_address(shell: Shell) -> None:
    shell.ok("mkdef -t network a net=10.0.0.0 mask=255.0.0.0")
    assert "same net and mask" in shell.run("mkdef -t network b net=10.0.0.0 mask=255.0.0.0").err


def test_templates(shell: Shell) -> None:
    shell.ok("mkdef --template redfish-template n9 bmc=10.0.0.9 ip=10.1.0.9")
    out = shell.ok("lsdef n9")
    assert "mgt=redfish\n" in out and "bmc=10.0.0.9\n" in out and "OPTIONAL" not in out
    shell.ok("mkdef --template n9 n8")
    assert shell.ok("lsdef n8").partition("\n")[2] == out.partition("\n")[2]
    shell.ok("mkdef --template switch-template s1 ip=10.1.0.1 username=u password=p")
    assert "password=********" in shell.ok("lsdef s1")
    shell.ok("mkdef --template pdu-template p1 ip=10.1.0.2 pdutype=irpdu username=u")
    assert "pdutype=irpdu" in shell.ok("lsdef p1")


def test_an_image_behind_its_nodes(shell: Shell) -> None:
    shell.ok("mkdef -t osimage img provmethod=netboot osvers=rocky9")
    shell.ok("chdef n1 provmethod=img")
    assert "osvers=rocky9" in shell.ok("lsdef n1 --osimage")
    assert "nicips=\n" in shell.ok("lsdef n1 --nics")


def test_interfaces_have_values_of_their_own(shell: Shell) -> None:
    shell.ok("chdef n1 nicips.eth0=10.0.0.1 'nicips.ib0=10.1.0.1|10.2.0.1' nictypes.ib0=infiniband")
    shell.ok("chdef n1 nicips.eth0=10.0.0.9")
    assert body(shell, "nics") == ['"n1","eth0!10.0.0.9,ib0!10.1.0.1|10.2.0.1",,,"ib0!infiniband"']
    out = shell.ok("lsdef n1")
    assert "    nicips.eth0=10.0.0.9\n    nicips.ib0=10.1.0.1|10.2.0.1\n    nictypes.ib0=infiniband\n" in out
    assert shell.ok("lsdef n1 -i nicips.ib0,nicips.none,nictypes -c") == (
        "n1: nicips.ib0=10.1.0.1|10.2.0.1\nn1: nicips.none=\nn1: nictypes.ib0=infiniband\n"
    )
    stanzas = shell.ok("lsdef -z n1")
    shell.ok("rmdef n1")
    shell.ok("mkdef -z", stdin=stanzas)
    assert shell.ok("lsdef -z n1") == stanzas
    shell.ok("chdef n1 nicips.eth0=")
    assert shell.ok("lsdef n1 -i nicips") == "Object name: n1\n    nicips.ib0=10.1.0.1|10.2.0.1\n"
    assert "not a valid attribute" in shell.run("chdef n1 nosuch.eth0=1").err


def test_a_megabyte_is_a_value_and_no_key(shell: Shell) -> None:
    much = "".join(chr(33 + (number * 7919) % 90) for number in range(1_000_000)).replace("|", "x")
    assert shell.call("chtab", ["key=big", f"site.value={much}"]).status == 0
    assert shell.ok("gettab key=big site.value") == f"{much}\n"
    answer = shell.call("chtab", [f"key={much.replace(',', '').replace('=', '')}", "site.value=1"])
    assert (answer.status, "too long for a key" in answer.err, len(answer.err) < 500) == (1, True, True)
    (shell.cwd / "passwd.csv").write_text(f"#key,username\nx,{'u' * 5_000}\n")
    assert "line 2" in shell.run("tabrestore passwd.csv").err


def test_cabling_has_rows_of_its_own(shell: Shell) -> None:
    shell.ok("chdef n1 switch=s1 switchport=1")
    shell.ok("chdef n1 switchport=2")
    assert body(shell, "switch") == ['"n1","s1","2"']
    shell.ok("chtab node=n1,switch=s2,port=9 switch.vlan=4")
    shell.ok("chdef n1 switch=s2 switchvlan=5")
    assert body(shell, "switch") == ['"n1","s1","2"', '"n1","s2","9","5"']
    assert "switch=s1\n    switchport=2\n" in shell.ok("lsdef n1 -i switch,switchport")
