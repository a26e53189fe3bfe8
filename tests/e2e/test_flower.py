"""Flower in a real browser in the middle of a job; what travels; and that no password does.

SERVAL_PICTURES=docs/pictures in the environment keeps the screenshot for the README.
"""

import base64
import binascii
import json
import os
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from browser import Browser, browser, listening
from programs import collect, program
from rig import Rig
from sqlalchemy import text

from db.engine import open_engine
from drivers import leases
from drivers.freeport import free_port
from lab.box import Box

BMCS = 1000
PASSWORD = "Bmc-Passw0rd-x7"
#: So many nodes of each half answer at once, the others later: a job with a middle.
QUICK = 206
SLOW_S = 0.6
RELOAD = 'jQuery("#tasks-table").DataTable().ajax.reload(null, false)'
ROWS = """
return [...document.querySelectorAll("#tasks-table tbody tr")].map(
    row => [...row.querySelectorAll("td")].map(cell => cell.innerText.trim()))
"""


class Tap:
    """Everything that Redis is told while it is open (MONITOR)."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379))
        if parts.password:
            self._socket.sendall(f"AUTH {parts.password}\r\n".encode())
        self._socket.sendall(b"MONITOR\r\n")
        self._heard = bytearray()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while data := self._socket.recv(1 << 16):
            self._heard += data

    def close(self) -> str:
        """All of it, with the messages' bodies unpacked."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._socket.close()
        return unpacked(self._heard.decode(errors="replace"))


def unpacked(heard: str) -> str:
    """A text and everything in it that base64 can hide."""
    hidden = []
    for word in set(re.findall(r"[A-Za-z0-9+/]{16,}={0,2}", heard)):
        try:
            hidden.append(base64.b64decode(word, validate=True).decode(errors="replace"))
        except binascii.Error:
            continue
    return "\n".join([heard, *hidden])


@pytest.fixture(scope="module")
def own_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A box of 1,000 BMCs whose password is a word that occurs nowhere else."""
    box = Box(tmp_path_factory.mktemp("flowerbox"), BMCS, password=PASSWORD)
    try:
        box.start()
        made = Rig(box, open_engine(f"sqlite:///{box.home / 'serval.db'}"))
        made.quiet()
        yield made
        made.engine.dispose()
    finally:
        box.stop()


class Page:
    """Flower of the box."""

    def __init__(self, port: int, user: str, password: str) -> None:
        self.password = password
        self.url = f"http://127.0.0.1:{port}"
        self.login = f"http://{user}:{password}@127.0.0.1:{port}"
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {token}"}

    def get(self, path: str, *, login: bool = True, data: bytes | None = None) -> str:
        """A page's text."""
        request = urllib.request.Request(self.url + path, data, self._headers if login else {})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return str(answer.read().decode())

    def status(self, path: str, *, login: bool = True, data: bytes | None = None) -> int:
        """Only how it ended."""
        try:
            self.get(path, login=login, data=data)
        except urllib.error.HTTPError as error:
            return error.code
        return 200

    def tasks(self) -> dict[str, dict[str, Any]]:
        """What Flower knows."""
        found: dict[str, dict[str, Any]] = json.loads(self.get("/api/tasks"))
        return found


@pytest.fixture(scope="module")
def page(own_rig: Rig) -> Iterator[Page]:
    """`serval flower`, until the module ends."""
    port = free_port()
    process = own_rig.box.begin("serval", "flower", "--port", str(port))
    try:
        listening(port, process)
        yield Page(port, "serval", (own_rig.box.home / "keys" / "flower-password").read_text().strip())
    finally:
        process.terminate()
        process.communicate(timeout=15)


def broker(rig: Rig) -> str:
    """The URL of the box's Redis."""
    return (rig.box.home / "run" / "broker").read_text().strip()


def slow_down(rig: Rig) -> None:
    """Most BMCs answer late, three of them refuse."""
    half = BMCS // 2
    numbers = [*range(QUICK + 1, half + 1), *range(half + QUICK + 1, BMCS + 1)]
    rig.box.control.faults([rig.address(rig.node(number)) for number in numbers], latency=SLOW_S)
    rig.box.control.faults([rig.address(rig.node(number)) for number in (7, 8, 9)], wrong_password=True)


def until(look: Callable[[], Any], otherwise: str, timeout_s: float = 40) -> Any:
    """What `look` finds, as soon as it finds something."""
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)
    return found


def rows_of(window: Browser) -> list[list[str]]:
    """The table of tasks, loaded anew."""
    window.run(RELOAD)
    time.sleep(0.3)
    found: list[list[str]] = window.run(ROWS)
    return [row for row in found if len(row) == 8]


def in_the_middle(rows: list[list[str]]) -> list[list[str]] | None:
    """The rows, when they show a job at work with attempts of both service nodes."""
    middle = [row for row in rows if row[1] == "compute reset" and re.match(r"\d{3}/1000 ok", row[3])]
    attempts = {row[5].partition("@")[0] for row in rows if row[1] == "rpower compute reset"}
    return rows if middle and {"sn1.bulk", "sn2.bulk"} <= attempts else None


def test_a_chain_is_seen_step_by_step(own_rig: Rig, page: Page) -> None:
    """Steps have their own lines; those that never ran say why; a wait shows how far it is."""
    own_rig.quiet()
    (requests,) = program(
        own_rig,
        """
        wait = wait_for.s("off", timeout=2, interval=0.5)
        last = chain(rpower.s("n[0001-0004]", "on"), wait, rpower.s("reset"))()
        say([last.parent.parent.id, last.parent.id, last.id])
        """,
    )
    collect(own_rig, requests)
    ended = {"SUCCESS", "FAILURE"}

    def look() -> list[dict[str, Any]] | None:
        found = page.tasks()
        mine = [found[one] for one in requests if one in found and found[one]["state"] in ended]
        return mine if len(mine) == 3 else None

    on, wait, reset = until(look, "the steps were not all seen")
    assert (on["state"], on["name"], on["args"]) == ("SUCCESS", "rpower", "n[0001-0004] on")
    assert wait["exception"].startswith("0 ok; 4 error: n[0001-0004]: not off after 2 s")
    assert reset["exception"].startswith("no node was left ok by wait_for")


def test_a_job_is_seen_in_the_middle(own_rig: Rig, page: Page, tmp_path: Path) -> None:
    slow_down(own_rig)
    tap = Tap(broker(own_rig))
    with browser(tmp_path) as window:
        window.open(page.login + "/tasks")
        asked = own_rig.box.begin("rpower", "compute", "reset")
        try:
            rows = until(lambda: in_the_middle(rows_of(window)), "no job in the middle was seen")
            picture = window.picture()
        finally:
            out, err = asked.communicate(timeout=60)
        keep(picture, tmp_path)
        job = next(row for row in rows if row[1] == "compute reset")
        assert job[0] == "rpower"
        assert job[2] == "PROGRESS"
        assert "job=" in job[4]
        assert job[5] == "jobs@mn1"
        for sn in ("sn1", "sn2"):
            mine = [
                row for row in rows if row[1] == "rpower compute reset" and row[5].startswith(f"{sn}.bulk@")
            ]
            assert all(re.search(rf"job=\d+ sn={sn} nodes=n\[\d+", row[4]) for row in mine), mine
        ended = ["rpower", "compute reset", "FAILURE"]
        over = until(lambda: [row for row in rows_of(window) if row[:3] == ended], "no end")
    assert over[0][3].startswith("997 ok; 3 error: n[0007-0009]: "), over
    assert asked.returncode == 1
    assert len(out.splitlines()) == 997, err
    heard = tap.close()
    events = re.findall(r'"type": "(task-[a-z]+)"', heard)
    assert {"task-received", "task-started", "task-progress", "task-failed", "task-sent"} <= set(events)
    assert len(events) < 200, len(events)
    assert re.search(
        r'\{[^{}]*"name": "rpower"[^{}]*"type": "task-progress"|'
        r'\{[^{}]*"type": "task-progress"[^{}]*"name": "rpower"',
        heard,
    )
    print(f"{len(events)} events")
    no_secret(own_rig, page, heard)


def keep(picture: bytes, tmp_path: Path) -> None:
    """Write the screenshot where the README looks, when asked to."""
    folder = Path(os.environ.get("SERVAL_PICTURES") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    assert picture.startswith(b"\x89PNG")
    (folder / "flower.png").write_bytes(picture)


def no_secret(rig: Rig, page: Page, heard: str) -> None:
    """None of three passwords in what Redis heard and holds, in Celery's results, and in Flower's pages."""
    redis_password = urlsplit(broker(rig)).password or ""
    with leases.connect(broker(rig)) as client:
        kept = "\n".join(unpacked(repr(everything(client, key))) for key in client.keys("*"))
    shown = "\n".join(page.get(path) for path in ("/tasks", "/workers", "/broker", "/api/workers?refresh=1"))
    results = "\n".join(
        unpacked(repr(rig.read(lambda c, table=table: c.execute(text(f"SELECT * FROM {table}")).all())))
        for table in ("celery_result", "step", "job", "job_node", "event", "attempt")
    )
    for secret in (PASSWORD, redis_password, page.password):
        assert len(secret) > 8
        for place in (heard, kept, shown, results, json.dumps(page.tasks()), command_lines()):
            assert secret not in place


def everything(client: Any, key: str) -> Any:
    """The value of a key, whatever its type."""
    match client.type(key):
        case "string":
            return client.get(key)
        case "list":
            return client.lrange(key, 0, -1)
        case "set":
            return client.smembers(key)
        case "hash":
            return client.hgetall(key)
        case "zset":
            return client.zrange(key, 0, -1, withscores=True)
    return None


def command_lines() -> str:
    """The processes of this machine, as `ps` shows them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return "\n".join(found)


def test_nobody_comes_in_without_the_password(own_rig: Rig, page: Page) -> None:
    for path in ("/tasks", "/workers", "/api/tasks", "/api/workers"):
        assert page.status(path, login=False) == 401
    assert page.status("/tasks") == 200
    name = next(iter(json.loads(page.get("/api/workers"))))
    assert page.status(f"/api/worker/shutdown/{name}", data=b"") == 403
    home = own_rig.box.home
    for file in (home / "keys" / "flower-password", *home.glob("run/flower-*.py")):
        assert file.stat().st_mode & 0o077 == 0


def test_what_cannot_be(own_rig: Rig, page: Page, tmp_path: Path) -> None:
    port = page.url.rpartition(":")[2]
    taken = own_rig.box.run("serval", "flower", "--port", port)
    assert taken.status == 1
    assert f"port {port} of 127.0.0.1" in taken.err
    assert "--port" in taken.err
    assert "Traceback" not in taken.err
    empty = tmp_path / "empty"
    empty.write_text("\n")
    for words, says in (
        (("--port", "0"), "not a port"),
        (("--port", "x"), "not a port"),
        (("--max-tasks", "0"), "not a whole number above 0"),
        (("--user", "a:b"), "cannot be a user name"),
        (("--password-file", str(tmp_path / "none")), "cannot be read"),
        (("--password-file", str(empty)), "one word of ASCII"),
    ):
        done = own_rig.box.run("serval", "flower", "--port", str(free_port()), *words)
        assert done.status == 1
        assert says in done.err, done.err
        assert "Traceback" not in done.err


def test_a_redis_that_was_away_is_told_again(own_rig: Rig, page: Page) -> None:
    """After Redis is emptied or its connections are cut, jobs are announced as before."""
    own_rig.quiet()
    with leases.connect(broker(own_rig)) as client:
        client.flushall()
        client.client_kill_filter(_type="normal", skipme=True)
    own_rig.beating()
    asked = own_rig.ask([own_rig.node(1)], "stat").wait()
    info = own_rig.info(asked.job)
    until(lambda: page.tasks().get(info.request, {}).get("state") == "SUCCESS", "the job was not announced")
