"""What a service node may ask for: its request is read as somebody hostile would write it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import wire
from cli.link import PROTOCOL
from cli.relay import Request, read_request
from cli.serving import Refused, parse
from core.errors import RequestError, ServalError
from db.home import Home

HOME = Home(Path("/home/of/mn1"), "sqlite://", None, "mn1", "mn1")
OWN = {"SERVAL_DATABASE": "postgresql://mn1", "PATH": "/secret", "HOME": "/root"}


def ask(user: str = "root", name: str = "rpower", argv: str = "n1 on", env: tuple[str, ...] = ()) -> Request:
    """What becomes of a request of sn1."""
    about = [str(PROTOCOL), "a1b2", user, "/there", name]
    lists = [about, argv.split(), list(env), ["utf-8 strict 0 0"] * 3, [], [], ["1", "0", "1", "24", "80"]]
    return read_request(b"\0".join(wire.pack(fields) for fields in lists), "sn1", HOME, OWN)


def test_who_asks_is_the_users_name_at_the_certificates() -> None:
    asked = ask()
    assert (asked.remote.who, asked.remote.typing) == ("root@sn1", True)
    assert (asked.terminals, asked.size) == ([False, True], (24, 80))


def test_the_environment_is_this_hosts_but_for_the_output() -> None:
    theirs = (
        "SERVAL_DATABASE=evil",
        "HOME=/x",
        "PATH=/x",
        "LD_PRELOAD=/x",
        "SUDO_USER=x",
        "TERM=xterm",
        "LC_ALL=C",
    )
    done = parse(ask(env=theirs).frame[4:].partition(b"\0")[2])
    assert done.env == {"SERVAL_DATABASE": "postgresql://mn1", "TERM": "xterm", "LC_ALL": "C"}
    assert (done.home, done.name, done.argv, str(done.cwd)) == (
        "/home/of/mn1",
        "rpower",
        ["n1", "on"],
        "/there",
    )


@pytest.mark.parametrize(
    "line", ["tabdump passwd", "lsdef n1 --show-secrets", "dumpxCATdb -p /", "serval db check", "serval up"]
)
def test_what_reads_is_not_done_here(line: str) -> None:
    """It would be read with the management node's rights."""
    name, _, argv = line.partition(" ")
    with pytest.raises(Refused, match="on the service node itself"):
        ask(name=name, argv=argv)


@pytest.mark.parametrize("line", ["tabedit passwd", "serval import-xcat /"])
def test_what_opens_files_here_is_not_done(line: str) -> None:
    name, _, argv = line.partition(" ")
    with pytest.raises(RequestError, match="management node alone"):
        ask(name=name, argv=argv)


@pytest.mark.parametrize("user", ["", "a b", "root\n2026 mn1", "x" * 65, "\x1b[2J", "é"])
def test_a_name_that_is_none_is_refused(user: str) -> None:
    with pytest.raises(Refused, match="no name of a user"):
        ask(user=user)


@given(st.one_of(st.binary(), st.lists(st.lists(st.text(alphabet="01a\n é"), max_size=6), max_size=8)))
def test_nonsense_is_refused(sent: bytes | list[list[str]]) -> None:
    rest = sent if isinstance(sent, bytes) else b"\0".join(wire.pack(fields) for fields in sent)
    with pytest.raises(ServalError):
        read_request(rest, "sn1", HOME, OWN)
