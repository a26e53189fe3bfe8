"""The embedded Redis, with every binary that this machine has."""

import os
import signal
import socket
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.errors import UnavailableError
from drivers.redisclient import connect
from drivers.services import redis as embedded
from drivers.services.redisbinary import find_binary, wheel_binary


@pytest.fixture(params=["system", "wheel"])
def binary(request: pytest.FixtureRequest) -> Path:
    found = Path("/usr/bin/redis-server") if request.param == "system" else wheel_binary()
    assert found is not None and found.exists(), f"the {request.param} redis-server is missing"
    return found


@pytest.fixture
def started() -> Iterator[list[int]]:
    """Process ids that are ended after the test."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        embedded.stop(pid)


def test_a_restart_keeps_port_password_and_data(tmp_path: Path, binary: Path, started: list[int]) -> None:
    folder, log = tmp_path / "odd \"name' é", tmp_path / "redis.log"
    first = embedded.start(folder, log, binary=binary)
    started.append(first.pid)
    with connect(first.url) as client:
        client.set("asked", "rpower")
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendfsync") == {"appendfsync": "everysec"}
    embedded.stop(first.pid)
    with pytest.raises(UnavailableError, match=f"127.0.0.1:{first.port}"):
        embedded.ping(first.url)

    second = embedded.start(folder, log, binary=binary)
    started.append(second.pid)
    assert (second.port, second.url) == (first.port, first.url)
    with connect(second.url) as client:
        assert client.get("asked") == "rpower"


def test_starting_twice_gives_the_same_server(tmp_path: Path, started: list[int]) -> None:
    first = embedded.start(tmp_path, tmp_path / "log")
    started.append(first.pid)
    assert embedded.start(tmp_path, tmp_path / "log") == first


def test_the_password_is_where_it_belongs_only(tmp_path: Path, started: list[int]) -> None:
    server = embedded.start(tmp_path / "redis", tmp_path / "log")
    started.append(server.pid)
    password = server.url.split("@")[0].removeprefix("redis://:")
    config = tmp_path / "redis" / "redis.conf"
    assert password in config.read_text()
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert stat.S_IMODE(config.parent.stat().st_mode) == 0o700
    assert password not in repr(server)
    assert password not in Path(f"/proc/{server.pid}/cmdline").read_text()
    assert password not in (tmp_path / "log").read_text()
    with pytest.raises(UnavailableError) as caught:
        embedded.ping(server.url.replace(password, "wrong"))
    assert "refuses the password" in caught.value.message
    assert "wrong" not in caught.value.message


def test_it_is_a_session_of_its_own(tmp_path: Path, started: list[int]) -> None:
    server = embedded.start(tmp_path, tmp_path / "log")
    started.append(server.pid)
    assert os.getsid(server.pid) == server.pid


def test_a_frozen_server_is_named_and_can_be_stopped(tmp_path: Path, started: list[int]) -> None:
    server = embedded.start(tmp_path, tmp_path / "log")
    started.append(server.pid)
    os.kill(server.pid, signal.SIGSTOP)
    with pytest.raises(UnavailableError, match=f"does not answer in time.*process {server.pid}"):
        embedded.start(tmp_path, tmp_path / "log")
    embedded.stop(server.pid)
    assert embedded.gone(server.pid)


def test_a_kept_port_that_is_taken_is_refused(tmp_path: Path) -> None:
    server = embedded.start(tmp_path, tmp_path / "log")
    embedded.stop(server.pid)
    taken = pytest.raises(UnavailableError, match=f"port {server.port} .* is taken by another process")
    with socket.create_server(("127.0.0.1", server.port)), taken:
        embedded.start(tmp_path, tmp_path / "log")


def test_a_server_that_dies_at_once_shows_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("an older run: Address already in use\n")
    (tmp_path / "appendonlydir").write_text("a file where Redis wants a folder")
    with pytest.raises(UnavailableError, match=r"Redis died at once.*appendonlydir") as caught:
        embedded.start(tmp_path, log, binary=Path("/usr/bin/redis-server"))
    assert "older run" not in caught.value.message


def test_the_system_comes_first_and_the_wheel_is_the_fallback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_binary() == Path("/usr/bin/redis-server")
    ancient = tmp_path / "redis-server"
    ancient.write_text("#!/bin/sh\necho 'Redis server v=6.0.16 sha=00000000:0'\n")
    ancient.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert find_binary() == wheel_binary()
    monkeypatch.setattr("sys.path", [])
    monkeypatch.setattr("sys.meta_path", [])
    with pytest.raises(UnavailableError, match=r"redis-server is 6\.0\.16.*install Debian's redis-server"):
        find_binary()


def test_a_missing_binary_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot be started"):
        embedded.start(tmp_path, tmp_path / "log", binary=tmp_path / "redis-server")


def test_stopping_spares_a_stranger_with_the_same_number() -> None:
    embedded.stop(os.getpid())


def test_a_crash_leaves_a_number_that_is_not_believed(tmp_path: Path, started: list[int]) -> None:
    stranger = embedded.start(tmp_path / "a", tmp_path / "log")
    started.append(stranger.pid)
    mine = embedded.start(tmp_path / "b", tmp_path / "log")
    os.kill(mine.pid, signal.SIGKILL)
    assert embedded.wait_gone(mine.pid, 10)
    (tmp_path / "b" / "redis.pid").write_text(f"{stranger.pid}\n")
    assert embedded.pid_in(tmp_path / "b") is None
    assert embedded.pid_in(tmp_path / "a") == stranger.pid
    again = embedded.start(tmp_path / "b", tmp_path / "log")
    started.append(again.pid)
    assert (again.url, again.pid == stranger.pid) == (mine.url, False)


def test_many_starters_at_once_start_one_server(tmp_path: Path, started: list[int]) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: embedded.start(tmp_path, tmp_path / "log"), range(4)))
    started.append(found[0].pid)
    assert len(set(found)) == 1
