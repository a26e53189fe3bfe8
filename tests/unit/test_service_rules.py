"""The rules of service set-up: what rows ask, what values may hold, what configurations say."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import monitoring
from core.errors import RequestError, UnavailableError
from core.services import settings
from core.services.settings import Clock, MountWanted
from core.services.wanted import Result, Service, State, asked, read
from drivers.services import chrony, conserver, ganesha, nginx
from drivers.services.conserver import Console, Consoles
from drivers.services.daemon import Port
from drivers.services.ports import listener_of
from drivers.services.runner import program
from drivers.services.systemd import unit_text
from routing.services import Told, merged, with_endings

FOLDER = Path("/home/services")


@pytest.mark.parametrize(
    ("value", "on", "second", "refused"),
    [
        ("1", True, False, False),
        ("YES", True, False, False),
        ("2", True, True, False),
        ("0", False, False, False),
        ("no", False, False, False),
        ("", False, False, False),
        ("maybe", True, False, True),
    ],
)
def test_a_column_is_on_off_or_refused(value: str, on: bool, second: bool, refused: bool) -> None:
    found = {one.service: one for one in read({"nameserver": value})}
    one = found[Service.NAMES]
    assert (one.on, one.second, bool(one.refusal)) == (on, second, refused)
    assert not any(other.on for service, other in found.items() if service is not Service.NAMES)


def test_two_means_something_for_few_services_and_aix_for_none() -> None:
    found = {one.service: one for one in read({"tftpserver": "2", "conserver": "2", "nimserver": "1"})}
    assert "must be 1 or 0" in found[Service.TFTP].refusal
    assert not found[Service.CONSOLES].refusal
    assert "AIX" in found[Service.NIM].refusal
    assert not asked(read({"nameserver": "0", "dhcpinterfaces": "eth0"}))


def test_who_gives_addresses_is_no_proxy_besides() -> None:
    found = {one.service: one for one in read({"dhcpserver": "1", "proxydhcp": "1"})}
    assert "set setupproxydhcp=0" in found[Service.PROXY_DHCP].refusal
    assert not found[Service.DHCP].refusal
    (alone,) = (one for one in read({"dhcpserver": "0", "proxydhcp": "1"}) if one.on)
    assert (alone.service, alone.refusal) == (Service.PROXY_DHCP, "")


@given(st.text())
def test_no_value_reaches_a_configuration_with_more_than_one_word(text: str) -> None:
    for check in (settings.host, settings.path):
        try:
            found = check(text, "site.it")
        except RequestError as error:
            assert "site.it" in error.message
            continue
        assert found == text
        assert not set(text) & set(" \t\r\n\"'{};#$\\`*?()<>|&!,")
        assert not text.startswith("-")


@pytest.mark.parametrize("port", ["0", "65536", "http", "80 80", "-1", "8０"])
def test_a_port_is_a_number(port: str) -> None:
    with pytest.raises(RequestError, match="httpport"):
        settings.trees({"httpport": port})


@pytest.mark.parametrize(
    ("site", "install", "tftp"),
    [
        ({"master": "mn1"}, None, "mn1:/tftpboot"),
        ({"master": "mn1", "installloc": "/install"}, "mn1:/install", "mn1:/tftpboot"),
        ({"installloc": "10.0.0.9:/export", "sharedtftp": "0"}, "10.0.0.9:/export", None),
        ({"master": "mn1", "sharedtftp": "nas1", "tftpdir": "/t"}, None, "nas1:/t"),
        ({"master": "mn1", "sharedtftp": "no"}, None, None),
    ],
)
def test_what_a_service_node_mounts(site: dict[str, str], install: str | None, tftp: str | None) -> None:
    found = settings.install_mount(site), settings.tftp_mount(site)
    assert [one.source if one else None for one in found] == [install, tftp]
    assert found[0] in (None, MountWanted("installloc", install or "", "/install"))


def test_a_mount_from_nobody_says_what_to_set() -> None:
    with pytest.raises(RequestError, match="master=NAME"):
        settings.tftp_mount({})


@pytest.mark.parametrize(
    ("site", "is_mn", "servers"),
    [
        ({"master": "mn1"}, False, ("mn1",)),
        ({"master": "mn1"}, True, ()),
        ({"master": "mn1", "ntpservers": "<xcatmaster>"}, False, ("mn1",)),
        (
            {"ntpservers": "10.0.0.1, ntp.org", "extntpservers": "pool.ntp.org"},
            False,
            ("10.0.0.1", "ntp.org"),
        ),
        ({"ntpservers": "10.0.0.1", "extntpservers": "pool.ntp.org"}, True, ("pool.ntp.org",)),
    ],
)
def test_where_a_clock_comes_from(site: dict[str, str], is_mn: bool, servers: tuple[str, ...]) -> None:
    found = settings.clock(
        site, [("10.0.0.0", "255.255.0.0"), ("fd00::", "/64"), ("x", "y")], "sn1", is_mn=is_mn
    )
    assert found == Clock(servers, ("10.0.0.0/16",))


def test_the_configurations_hold_what_was_asked() -> None:
    text = chrony.render(Clock(("mn1",), ()), FOLDER, Path("/var/lib/chrony"))
    assert "\nserver mn1 iburst\n" in text
    assert "\nallow\n" in text
    web = nginx.Web((nginx.Tree("/install", Path("/data")),), 8080, "/x", b"")
    assert "listen 8080 " in nginx.render(web, FOLDER, as_root=True)
    assert "user www-data" not in nginx.render(web, FOLDER, as_root=False)
    exports = ganesha.render({"/install": Path("/r/install"), "/tftpboot": Path("/r/t")}, FOLDER)
    assert [exports.count(word) for word in ("EXPORT {", "Access_Type = RO", 'Path = "/r/t"')] == [2, 2, 1]
    consoles = Consoles([Console("n1"), Console("n2", "sn2")], "serval console", FOLDER, ("mn1",), True)
    lines = conserver.render(consoles).splitlines()
    assert lines[-2:] == ["console n1 { }", "console n2 { master sn2; }"]


def test_a_unit_expands_nothing() -> None:
    text = unit_text("nginx", ["/usr/sbin/nginx", "-c", '/a b/$HOME/%h"x'], Path("/log/%n"))
    assert 'ExecStart="/usr/sbin/nginx" "-c" "/a b/$$HOME/%%h\\"x"\n' in text
    assert "append:/log/%%n\n" in text


@pytest.mark.parametrize(
    ("line", "port", "processes"),
    [
        (
            'tcp LISTEN 0 511 0.0.0.0:80 0.0.0.0:* users:(("nginx",pid=8,fd=6),("nginx",pid=7,fd=6))',
            Port("tcp", 80),
            (("nginx", 8), ("nginx", 7)),
        ),
        ("udp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:*", Port("udp", 53, "127.0.0.53"), ()),
        ("tcp LISTEN 0 64 [::]:2049 [::]:*", Port("tcp", 2049), ()),
        ("tcp LISTEN 0 64 *:2049 *:*", Port("tcp", 2049), ()),
    ],
)
def test_a_line_of_ss(line: str, port: Port, processes: tuple[tuple[str, int], ...]) -> None:
    found = listener_of(line)
    assert (found.port, found.processes) == (port, processes)
    assert ("the kernel" in str(found)) == (not processes)


def test_the_worst_part_of_a_service_counts() -> None:
    told = [
        Told("nfsserver", "nginx started"),
        Told("nfsserver", "ganesha: no", State.FAILED),
        Told("x", "y"),
    ]
    assert [(one.service, one.state, one.sentence) for one in merged(told)] == [
        ("nfsserver", State.FAILED, "nginx started; ganesha: no"),
        ("x", State.OK, "y"),
    ]


def test_what_was_on_and_is_not_asked_for_is_off() -> None:
    found = [Result("tftpserver", State.OK, "dnsmasq restarted")]
    told = with_endings(found, {"tftpserver", "nameserver", "installloc"}, frozenset(Service))
    assert told == [*found, Result("nameserver", State.OFF, "not asked for any more")]
    assert with_endings(found, {"nameserver"}, {"tftpserver"}) == found


def test_a_node_on_its_way_is_left_alone() -> None:
    assert monitoring.changed("unreachable", True) == "alive"
    assert monitoring.changed("booted", False) == "unreachable"
    assert monitoring.changed("booted", True) is None
    assert monitoring.changed("installing", False) is None
    assert [monitoring.interval_s(text) for text in ("", "5", "0", "nan", "soon")] == [
        180,
        300,
        180,
        180,
        180,
    ]


def test_a_missing_program_is_named_with_its_package() -> None:
    with pytest.raises(UnavailableError, match="apt-get install some-package"):
        program("no-such-daemon", "some-package")
