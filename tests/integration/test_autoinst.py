"""Installation to disk: what nodeset writes for installers, and what service nodes keep and serve."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml
from commands import Shell
from pykickstart.parser import KickstartParser
from pykickstart.version import RHEL9, makeVersion
from services_rig import Sn, in_own_network, service_node, wire

from core.autoinst.document import SERVER, from_text
from core.wanted import Change, Inspected, Kind
from db import wanted
from db.engine import open_engine, reading
from db.home import open_home
from drivers import leases
from drivers.services import redis as embedded
from routing.keepers import KEEPERS

CLUSTER = """\
mkdef -t node -o sn1,sn2 groups=service setuptftp=1
chdef sn1 ip=10.0.0.11
chdef sn2 ip=10.0.0.12
mkdef -t node -o n[1-2] groups=compute netboot=xnba servicenode=sn1,sn2 serialport=0 serialspeed=115200
chdef n1 ip=10.0.1.1 mac=52:54:00:00:00:01
chdef n2 ip=10.0.1.2 mac=52:54:00:00:00:02
mkdef -t network prov net=10.0.0.0 mask=255.255.0.0
chdef -t site sharedtftp=0 domain=cluster timezone=Europe/Rome installloc=/install
chtab key=system passwd.username=root passwd.password=hunter2
mkdef -t osimage deb osvers=debian12 osarch=x86_64 profile=compute provmethod=install
mkdef -t osimage el osvers=rocky9.4 osarch=x86_64 profile=compute provmethod=install
mkdef -t osimage ubuntu osvers=ubuntu24.04 osarch=x86_64 profile=service provmethod=install
mkdef -t osimage own osvers=debian12 osarch=x86_64 profile=own provmethod=install
mkdef -t osimage live osvers=debian12 osarch=x86_64 profile=compute provmethod=netboot
"""


@pytest.fixture
def shell(home_env: dict[str, str], redis: embedded.RunningRedis, tmp_path: Path) -> Shell:
    """A pool of two with two nodes."""
    with leases.connect(redis.url) as client:
        client.flushall()
    root = {"SERVAL_ROOT": str(tmp_path / "root")}
    made = Shell({**home_env, "SERVAL_BROKER": redis.url, **root}, tmp_path)
    for line in CLUSTER.splitlines():
        made.ok(line)
    return made


@pytest.fixture
def sn(sqlite_url: str) -> Iterator[Sn]:
    with service_node(sqlite_url) as node:
        yield node


def documents(shell: Shell) -> dict[str, str]:
    with reading(open_engine(shell.env["SERVAL_DATABASE"])) as connection:
        return wanted.documents(connection, Kind.AUTOINST, ["n1", "n2"])


def files(shell: Shell, words: str, node: str = "n1") -> Mapping[str, str]:
    """What a nodeset makes of a node's answers."""
    answer = shell.run(f"nodeset {words} --no-wait")
    assert answer.status == 0 and node in documents(shell), shell.run(f"nodeset {words} --plan").err
    return from_text(documents(shell)[node]).files


def own_template(shell: Shell, text: str, name: str = "own.tmpl") -> None:
    folder = Path(shell.env["SERVAL_ROOT"]) / "install/custom/install/debian"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    boot = Path(shell.env["SERVAL_ROOT"]) / "install/debian12/x86_64/debian-installer/amd64"
    boot.mkdir(parents=True, exist_ok=True)
    for file in ("linux", "initrd.gz"):
        (boot / file).touch()


def refusal(shell: Shell, words: str) -> str:
    answer = shell.run(f"nodeset {words} --plan --json")
    assert answer.status == 1
    (told,) = [json.loads(line) for line in answer.out.splitlines()]
    return str(told["message"])


def test_preseed(shell: Shell, tmp_path: Path) -> None:
    text = files(shell, "compute osimage=deb")["n1"]
    (tmp_path / "preseed").write_text(text)
    subprocess.run(["debconf-set-selections", "--checkonly", str(tmp_path / "preseed")], check=True)
    assert f"d-i mirror/http/hostname string {SERVER}:80\n" in text
    assert "d-i mirror/http/directory string /install/debian12/x86_64\n" in text
    assert "d-i netcfg/get_hostname string n1\n" in text and "d-i time/zone string Europe/Rome\n" in text
    assert "add-kernel-opts string console=tty0 console=ttyS0,115200\n" in text
    assert "hunter2" not in text and "password $6$" in text
    assert f" {SERVER}:3002,sn1:3002,sn2:3002 /target" in text
    assert {node: from_text(told).node for node, told in documents(shell).items()} == {"n1": "n1", "n2": "n2"}


def test_the_same_again_writes_nothing(shell: Shell) -> None:
    first = files(shell, "compute osimage=deb")
    with reading(open_engine(shell.env["SERVAL_DATABASE"])) as connection:
        revision = wanted.last(connection, Kind.AUTOINST)
    assert files(shell, "compute osimage=deb") == first
    with reading(open_engine(shell.env["SERVAL_DATABASE"])) as connection:
        assert wanted.last(connection, Kind.AUTOINST) == revision


def test_kickstart(shell: Shell) -> None:
    shell.ok("chdef -t osimage el addkcmdline=quiet,R::panic=10".replace(",", "\\ "))
    text = files(shell, "n1 osimage=el")["n1"]
    handler = makeVersion(RHEL9)
    KickstartParser(handler, missingIncludeIsFatal=False).readKickstartFromString(text)
    assert handler.network.network[0].hostname == "n1.cluster"
    assert handler.url.url == f"http://{SERVER}:80/install/rocky9.4/x86_64"
    assert handler.rootpw.isCrypted and "hunter2" not in text
    assert handler.bootloader.appendLine == "console=tty0 console=ttyS0,115200 panic=10"
    assert "openssh-server" in handler.packages.packageList
    shell.ok("chtab -d key=system passwd")
    handler = makeVersion(RHEL9)
    KickstartParser(handler).readKickstartFromString(files(shell, "n1 osimage=el")["n1"])
    assert handler.rootpw.lock


def test_autoinstall(shell: Shell) -> None:
    found = files(shell, "n1 osimage=ubuntu")
    assert set(found) == {"nocloud/n1/user-data", "nocloud/n1/meta-data"}
    told = yaml.safe_load(found["nocloud/n1/user-data"])["autoinstall"]
    assert told["version"] == 1 and told["user-data"]["hostname"] == "n1"
    assert told["user-data"]["users"][0]["hashed_passwd"].startswith("$6$")
    assert "dnsmasq-base" in told["packages"]
    assert told["late-commands"][-1].endswith(f"{SERVER}:3002,sn1:3002,sn2:3002 /target || true")
    assert yaml.safe_load(found["nocloud/n1/meta-data"])["local-hostname"] == "n1"


def test_a_template_of_xcat(shell: Shell) -> None:
    own_template(shell, "extra ${#list}\n", "more.tmpl")
    own_template(
        shell,
        "d-i a string #TABLE:noderes:$NODE:netboot# #TABLE:hosts:THISNODE:ip# #TABLE:mac:n2:mac#\n"
        "d-i b string #TABLE:site:key=timezone:value#|#TABLEBLANKOKAY:noderes:$NODE:xcatmaster#|\n"
        "d-i c string #XCATVAR:XCATMASTER# #ENV:PROFILE# #HOSTNAME#\n"
        "d-i d password #CRYPT:passwd:key=system,username=root:password#\n"
        "#INCLUDE:more.tmpl#\n",
    )
    lines = files(shell, "compute osimage=own", "n2")["n2"].splitlines()
    assert lines[:3] == [
        "d-i a string xnba 10.0.1.2 52:54:00:00:00:02",
        "d-i b string Europe/Rome||",
        f"d-i c string {SERVER} own n2",
    ]
    assert lines[3].startswith("d-i d password $6$") and lines[4] == "extra ${#list}"


def test_a_server_that_noderes_names_stands_in_the_file(shell: Shell) -> None:
    own_template(shell, "#XCATVAR:XCATMASTER# {{ server }}\n")
    shell.ok("chdef n1 servicenode=sn1 xcatmaster=10.0.0.11 nfsserver=10.0.0.9")
    assert files(shell, "n1 osimage=own")["n1"] == "10.0.0.11 {{ server }}\n"
    own_template(shell, "{{ server }} {{ tree }}\n")
    assert files(shell, "n1 osimage=own")["n1"] == "10.0.0.9 http://10.0.0.9:80/install/debian12/x86_64\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("one\n{{ nothing }}\n", "own.tmpl, line 2: 'nothing' is undefined"),
        ("one\n\n{% for %}\n", "own.tmpl, line 3: "),
        ("#COMMAND:id#\n", "own.tmpl, line 1: #COMMAND:id#: no command is run"),
        ("\n#TABLE:passwd:key=system:password#", "own.tmpl, line 2: passwd.password is secret"),
        ("\n#TABLE:nodehm:$NODE:nothing#", "own.tmpl, line 2: there is no column nodehm.nothing"),
        ("\n#TABLE:noderes:$NODE:xcatmaster#", "own.tmpl, line 2: noderes.xcatmaster of n1 is not set"),
        ("#INCLUDE:/etc/nothing#", "own.tmpl, line 1: "),
        ("#ENV:SERVAL_DATABASE#", "line 1: the environment has no SERVAL_DATABASE"),
        ("#TABLE:nodelist:$NODE:comments#", "line 1: a value is written without quotes"),
    ],
)
def test_a_template_that_cannot_be_rendered_names_file_and_line(shell: Shell, text: str, said: str) -> None:
    own_template(shell, text)
    shell.ok("chtab node=n1 nodelist.comments=it\\'s")
    assert said in refusal(shell, "n1 osimage=own")


def test_an_image_without_a_template_says_where_one_goes(shell: Shell) -> None:
    said = refusal(shell, "n1 osimage=own")
    assert "debian/own.tmpl into /install/custom/install" in said and "template=FILE" in said


def test_one_bad_node_does_not_hold_up_the_other(shell: Shell) -> None:
    own_template(shell, "#TABLE:nodelist:$NODE:comments#\n")
    shell.ok("chtab node=n2 nodelist.comments=fine")
    answer = shell.run("nodeset compute osimage=own --plan")
    assert answer.status == 1
    assert "n2: install debian12-x86_64-own" in answer.out and "n1: Error: " in answer.err


def test_after_the_installation_the_answers_are_gone(shell: Shell) -> None:
    files(shell, "compute osimage=deb")
    assert shell.ok("nodeset n1 next") == "n1: boot\n"
    assert set(documents(shell)) == {"n2"}
    shell.ok("nodeset n2 osimage=live --no-wait")
    assert documents(shell) == {}


def test_what_a_service_node_keeps(shell: Shell, tmp_path: Path) -> None:
    """The programs that installers run, and files that come and go; equal ones have equal checksums."""
    files(shell, "compute osimage=deb")
    told = documents(shell)
    home = open_home(shell.env)
    keeper = KEEPERS[Kind.AUTOINST](home, {})
    assert isinstance(keeper, Inspected)
    assert keeper.apply([Change(node, text) for node, text in told.items()], 1) == {}
    folder = home.host_path("/install")
    assert (folder / "autoinst/n1").read_text() == from_text(told["n1"]).files["n1"]
    programs = sorted(file.name for file in (folder / "serval").iterdir())
    assert programs == ["serval-booted.service", "serval-installed", "serval-status"]
    assert keeper.drift(told) == {} and all(keeper.digest(["n1", "n2"]).values())
    assert keeper.apply([Change("n1", None)], 2) == {}
    assert [file.name for file in (folder / "autoinst").iterdir()] == ["n2"]
    bad = json.dumps({"node": "n2", "files": {"../../etc/cron.d/x": "x"}})
    assert "not its own" in keeper.apply([Change("n2", bad)], 3)["n2"]


@in_own_network
def test_a_service_node_puts_the_address_that_was_asked_into_answers_alone(sn: Sn) -> None:
    wire("eth1", "10.7.0.1/24")
    sn.tables({}, nfsserver="1")
    sn.set_up()
    folder = sn.path("/install")
    (folder / "autoinst/nocloud/n1").mkdir(parents=True)
    for name in ("autoinst/n1", "autoinst/nocloud/n1/user-data", "other"):
        (folder / name).write_text(f"http://{SERVER}:80/ {SERVER}\n")

    def fetched(host: str, path: str) -> str:
        with urllib.request.urlopen(f"http://{host}/install/{path}", timeout=10) as answer:
            return str(answer.read().decode())

    assert fetched("10.7.0.1", "autoinst/n1") == "http://10.7.0.1:80/ 10.7.0.1\n"
    assert fetched("127.0.0.1", "autoinst/nocloud/n1/user-data") == "http://127.0.0.1:80/ 127.0.0.1\n"
    assert fetched("127.0.0.1", "other") == f"http://{SERVER}:80/ {SERVER}\n"
