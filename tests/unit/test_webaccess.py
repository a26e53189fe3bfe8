"""Addresses of Redfish services, certificate rules, and what is sealed of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.blob import read_blob, write_blob
from core.bmcaccess import Access, choose
from core.errors import DefinitionError, NoBmcAddress, NodeError, RequestError, ServalError, UnsupportedAction
from core.webaccess import Web, certificates, parse_tls, parse_web

PRINT = "ab" * 32


@pytest.mark.parametrize(
    ("text", "port", "web"),
    [
        ("10.0.0.7", 443, Web("10.0.0.7")),
        (" bmc7 ", 443, Web("bmc7")),
        ("bmc7:8443", 8443, Web("bmc7")),
        ("[fd00::7]:8443", 8443, Web("fd00::7")),
        ("fd00::7", 443, Web("fd00::7")),
        ("https://bmc7", 443, Web("bmc7")),
        ("HTTPS://bmc7/", 443, Web("bmc7")),
        ("https://[fd00::7]", 443, Web("fd00::7")),
        ("http://bmc7", 80, Web("bmc7", "plain")),
        ("http://bmc7:8000", 8000, Web("bmc7", "plain")),
        ("https://bmc7/redfish/v1/Systems/a-1", 443, Web("bmc7", system="/redfish/v1/Systems/a-1")),
        ("bmc7#accept", 443, Web("bmc7", "accept")),
        ("bmc7:8443#verify", 8443, Web("bmc7", "verify")),
        (f"https://bmc7#SHA256:{':'.join(['AB'] * 32)}", 443, Web("bmc7", f"sha256:{PRINT}")),
    ],
)
def test_address(text: str, port: int, web: Web) -> None:
    assert parse_web(text) == (port, web)


@pytest.mark.parametrize(
    "text",
    [
        "", "https://", "https://:443", "ftp://bmc7", "http://bmc7#accept", "https://admin:secret@bmc7",
        "bmc7:0", "bmc7:x", "bmc7:65536", "https://bmc7/login", "https://bmc7/redfish/v1/Systems/../x",
        "https://bmc7/redfish/v1/Systems/1?x=y", "bmc 7", "bmc7\r\nX: y", "bmc7#", "bmc7#sha256:ab",
        "bmc7#no",
        "https://https://bmc7",
    ],
)  # fmt: skip
def test_no_address(text: str) -> None:
    with pytest.raises((NoBmcAddress, DefinitionError)) as caught:
        parse_web(text)
    assert "secret" not in caught.value.message


@given(st.text())
def test_any_address_is_read_or_refused(text: str) -> None:
    try:
        port, web = parse_web(text)
    except ServalError:
        return
    assert 0 < port < 65536
    assert web.host
    assert web.host.isprintable()


def test_rules_name_where_they_stand() -> None:
    assert parse_tls(" Verify ", "site.bmctls") == "verify"
    with pytest.raises(
        DefinitionError, match=r"site\.bmctls is 'none'; it must be verify, accept or sha256:"
    ):
        parse_tls("none", "site.bmctls")


def test_a_private_key_is_no_certificate() -> None:
    one = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
    key = "-----BEGIN PRIVATE KEY-----\nBBBB\n-----END PRIVATE KEY-----"
    assert certificates(f"{key}\n{one}\nwords\n{one}\n") == f"{one}\n{one}"
    assert certificates(key) == ""


WEB = {"nodehm.mgt": "redfish", "openbmc.bmc": "b1", "openbmc.username": "u", "openbmc.password": "p"}
IPMI = {"nodehm.mgt": "ipmi", "ipmi.bmc": "i1", "ipmi.username": "v", "ipmi.password": "q"}


@pytest.mark.parametrize(
    ("values", "access"),
    [
        (IPMI, Access("i1", 623, "v", "q")),
        (WEB, Access("b1", 443, "u", "p", "redfish", Web("b1"))),
        ({**WEB, "nodehm.mgt": "openbmc"}, Access("b1", 443, "u", "p", "openbmc", Web("b1"))),
        ({**WEB, **IPMI}, Access("i1", 623, "v", "q")),
        ({**WEB, **IPMI, "nodehm.power": "redfish"}, Access("b1", 443, "u", "p", "redfish", Web("b1"))),
        ({**IPMI, **WEB, "nodehm.power": "ipmi"}, Access("i1", 623, "v", "q")),
        ({"nodehm.mgt": "redfish", "openbmc.bmc": "b1"}, Access("b1", 443, "dr", "d", "redfish", Web("b1"))),
        ({"nodehm.mgt": "openbmc", "openbmc.bmc": "b1"}, Access("b1", 443, "do", "d", "openbmc", Web("b1"))),
        ({**WEB, "openbmc.password": ""}, Access("b1", 443, "u", "", "redfish", Web("b1"))),
    ],
)
def test_power_then_mgt_chooses(values: dict[str, str], access: Access) -> None:
    assert choose("n1", values, {"redfish": ("dr", "d"), "openbmc": ("do", "d")}) == access


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({}, NodeError, "no hardware control is set"),
        ({"nodehm.mgt": "hmc"}, UnsupportedAction, "nodehm.mgt may be: ipmi, openbmc, redfish"),
        ({**IPMI, "nodehm.mgt": "redfish"}, NoBmcAddress, "no BMC address is set"),
        ({"nodehm.mgt": "redfish", "openbmc.bmc": "b1"}, NodeError, "key=redfish of the passwd table"),
        ({**WEB, "openbmc.bmc": "b1#x"}, DefinitionError, "the word behind # in bmc is 'x'"),
    ],
)
def test_what_is_missing_is_said(values: dict[str, str], error: type[ServalError], words: str) -> None:
    with pytest.raises(error) as caught:
        choose("n1", values, {})
    assert words in caught.value.message


def test_blob_holds_everything_once() -> None:
    ca = "-----BEGIN CERTIFICATE-----\n" + "A" * 2000 + "\n-----END CERTIFICATE-----"
    nodes = {f"n{i}": (f"10.0.0.{i}", Access(f"b{i}", 443, "u", "p", "redfish", Web(f"b{i}", "verify", ca)))
             for i in range(9)}  # fmt: skip
    nodes["x"] = ("10.0.1.1", Access("10.0.1.1", 623, "v", "q"))
    blob = write_blob(nodes)
    assert read_blob(blob) == nodes
    assert blob.count(b"AAAA" * 500) == 1


@pytest.mark.parametrize("plain", [b"", b"[]", b'{"logins": [], "nodes": {"n": ["a", 1, 0]}}', b"\xff"])
def test_damaged_blob(plain: bytes) -> None:
    with pytest.raises(RequestError):
        read_blob(plain)


def test_login_and_certificates_are_not_printed() -> None:
    text = repr(Access("b", 443, "mallory", "swordfish", "redfish", Web("b", "verify", "PEM")))
    assert not any(word in text for word in ("mallory", "swordfish", "PEM"))
