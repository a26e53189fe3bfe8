"""nodestat: hosts that answer in every way there is, and what is written of them."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Shell

from drivers import nodeprobe
from drivers.nodeprobe import Answer


@pytest.fixture
def greeting() -> Iterator[int]:
    """A port: on 127.6.0.1 an SSH server, on 127.6.0.2 something else, on other addresses nobody."""
    listening = [socket.create_server(("127.6.0.1", 0))]
    port = int(listening[0].getsockname()[1])
    listening.append(socket.create_server(("127.6.0.2", port)))
    stop = threading.Event()

    def serve(own: socket.socket, banner: bytes) -> None:
        own.settimeout(0.1)
        while not stop.is_set():
            try:
                talk, _ = own.accept()
            except TimeoutError:
                continue
            with talk:
                talk.sendall(banner)

    banners = (b"SSH-2.0-OpenSSH_9\r\n", b"220 mail\r\n")
    threads = [threading.Thread(target=serve, args=pair) for pair in zip(listening, banners, strict=True)]
    for thread in threads:
        thread.start()
    yield port
    stop.set()
    for thread in threads:
        thread.join()
    for one in listening:
        one.close()


def test_every_answer(greeting: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodeprobe, "CONNECT_S", 0.3)
    monkeypatch.setattr(nodeprobe, "ECHO_S", 0.1)
    hosts = {"ssh": "127.6.0.1", "mail": "127.6.0.2", "up": "127.6.0.3", "gone": "255.255.255.255"}
    found = nodeprobe.look(hosts, greeting)
    assert found == {
        "ssh": Answer.SSHD, "mail": Answer.PING, "up": Answer.PING,
        "gone": Answer.NOPING,
    }  # fmt: skip


def test_a_thousand_hosts_at_once(greeting: int) -> None:
    hosts = {f"n{number}": f"127.6.{number // 250 + 1}.{number % 250 + 1}" for number in range(1000)}
    assert set(nodeprobe.look(hosts, greeting).values()) == {Answer.PING}


def test_echo_requests_are_what_rfc_792_says() -> None:
    packet = nodeprobe.request(0x1234, 1)
    words = [int.from_bytes(packet[place : place + 2]) for place in range(0, len(packet), 2)]
    total = sum(words)
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF
    assert packet[:2] == b"\x08\x00"


def test_lines_and_what_is_written(home_env: dict[str, str], tmp_path: Path) -> None:
    shell = Shell(home_env, tmp_path)
    shell.ok("mkdef -t node -o n1 groups=all ip=127.6.7.1")
    shell.ok("mkdef -t node -o nameless.invalid groups=all")
    answer = shell.run("nodestat all")
    assert answer.status == 1
    assert answer.out in ("n1: ping\n", "n1: sshd\n")  # whether this host has an SSH server
    assert answer.err.startswith("nameless.invalid: Error: its name does not resolve")
    assert shell.ok("nodels n1 nodelist.status") == "n1: \n"
    shell.ok("nodestat n1 -u")
    assert shell.ok("nodels n1 nodelist.status") == "n1: alive\n"
    assert shell.ok("nodestat n1 -m").startswith("n1: alive,sshd=")
    shell.ok("chdef n1 status=booted")
    shell.ok("chdef -t site clustersite nodestatus=n")
    shell.ok("nodestat n1 -u")
    assert shell.ok("nodels n1 nodelist.status") == "n1: booted\n"
