"""makehosts, nodepurge and makenetworks."""

from pathlib import Path

import pytest
from commands import Answer, Shell

from cli import makenetworks
from core.hostsfile import BEGIN


@pytest.fixture
def shell(home_env: dict[str, str], tmp_path: Path) -> Shell:
    """Somebody with three nodes whose addresses follow their names, and a hosts file."""
    one = Shell(home_env, tmp_path)
    one.ok("mkdef n[1-3] groups=compute")
    one.ok(r"chdef -t group compute 'ip=|\D+(\d+)|10.0.0.($1)|'")
    one.ok("chdef -t site domain=c.net")
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n")
    (tmp_path / "hosts").chmod(0o640)
    return one


def text(shell: Shell) -> str:
    return (shell.cwd / "hosts").read_text()


def test_nodes_get_lines_and_lose_them(shell: Shell) -> None:
    shell.ok("makehosts -f hosts n1,n3")
    assert "10.0.0.1 n1 n1.c.net # node n1\n10.0.0.3 n3 n3.c.net # node n3\n" in text(shell)
    assert (shell.cwd / "hosts").stat().st_mode & 0o777 == 0o640
    shell.ok("makehosts -f hosts -d n1")
    assert "n1" not in text(shell)
    shell.ok("nodepurge -f hosts n3")
    assert text(shell) == "127.0.0.1 localhost\n"
    assert shell.ok("nodels").split() == ["n1", "n2"]


def test_a_rehearsal_has_a_hosts_file_of_its_own(shell: Shell) -> None:
    shell.env["SERVAL_ROOT"] = str(shell.cwd / "root")
    own = shell.cwd / "root/etc/hosts"
    shell.ok("makehosts n1")
    assert "10.0.0.1 n1" in own.read_text()
    shell.ok("nodepurge n1")
    assert "n1" not in own.read_text()


def test_a_new_file_keeps_the_old_one_beside_it(shell: Shell) -> None:
    file, old = shell.cwd / "hosts", b"127.0.0.1 localhost\n192.0.2.2 me # M\xfcller\n"
    file.write_bytes(old)
    shell.ok("makehosts -f hosts n1")
    assert file.read_bytes().startswith(old), "whatever letters somebody wrote"
    merged = file.read_bytes()
    shell.ok("makehosts -n -f hosts n1")
    assert b"192.0.2.2" not in file.read_bytes()
    assert (shell.cwd / "hosts.xcatbak").read_bytes() == merged


def test_the_domain_of_the_network_comes_first(shell: Shell) -> None:
    shell.ok("mkdef -t network wide net=10.0.0.0 mask=255.0.0.0 domain=wide.net")
    shell.ok("mkdef -t network a net=10.0.0.0 mask=255.255.255.0 domain=a.net")
    shell.ok("chdef n2 ip=10.5.0.2")
    shell.ok("makehosts -l -n -f hosts")
    assert "10.0.0.1 n1.a.net n1 " in text(shell)
    assert "10.5.0.2 n2.wide.net n2 " in text(shell)
    shell.ok("chdef -t site FQDNfirst=1")
    shell.ok("makehosts -f hosts n1")
    assert "10.0.0.1 n1.a.net n1 " in text(shell)


def test_a_name_on_another_line_is_told(shell: Shell) -> None:
    (shell.cwd / "hosts").write_text("9.9.9.9 n2 # mine\n")
    answer = shell.run("makehosts -f hosts compute")
    assert (answer.status, "n2 is 9.9.9.9 on a line that Serval did not write" in answer.err) == (0, True)
    assert "9.9.9.9 n2 # mine\n" in text(shell)


def test_nodes_without_an_address_are_named(shell: Shell) -> None:
    shell.ok("mkdef lost groups=all")
    answer = shell.run("makehosts -f hosts lost,n1")
    assert (answer.status, "lost: hosts.ip is not set" in answer.err) == (1, True)
    assert BEGIN in text(shell)
    assert shell.run("makehosts -f hosts") == Answer(0, "", "")


def test_a_file_that_cannot_be_written_changes_nothing(shell: Shell) -> None:
    assert "cannot be read" in shell.run("makehosts -f . n1").err
    assert "cannot be written" in shell.run("makehosts -f nowhere/hosts n1").err
    assert shell.run("makehosts -f hosts nosuch").status == 1
    assert text(shell) == "127.0.0.1 localhost\n"


def test_networks_of_this_host(shell: Shell) -> None:
    shown = shell.ok("makenetworks -d")
    assert shell.ok("lsdef -t network -s").startswith("No object") or not shown
    shell.ok("makenetworks")
    listed = shell.ok("lsdef -t network -z")
    assert sorted(shown.split()) == sorted(listed.split())
    assert makenetworks.definitions([]) == {}
    shell.ok("makenetworks -V")
    assert shell.ok("lsdef -t network -z") == listed
