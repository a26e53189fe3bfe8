"""A headless Chromium, driven through the WebDriver protocol (W3C) by its own chromedriver."""

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drivers.freeport import free_port

PATIENCE_S = 60.0
#: Nothing but the page that is asked for: no updates, no accounts, no first-run pages.
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]


class Browser:
    """One window."""

    def __init__(self, url: str, size: tuple[int, int], profile: Path) -> None:
        width, height = size
        arguments = [*ARGUMENTS, f"--window-size={width},{height}", f"--user-data-dir={profile}"]
        chrome = {"args": arguments, "binary": program("chromium")}
        wanted = {"browserName": "chrome", "goog:chromeOptions": chrome}
        self._base = url + "/session"
        made = self._call("POST", "", {"capabilities": {"alwaysMatch": wanted}})
        self._base += "/" + made["sessionId"]

    def open(self, url: str) -> None:
        """Go to a page and wait until it is loaded."""
        self._call("POST", "/url", {"url": url})

    def run(self, script: str) -> Any:
        """What a piece of JavaScript returns."""
        return self._call("POST", "/execute/sync", {"script": script, "args": []})

    def picture(self) -> bytes:
        """The window as PNG."""
        return base64.b64decode(self._call("GET", "/screenshot"))

    def close(self) -> None:
        """End Chromium."""
        self._call("DELETE", "")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, data, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.load(answer)["value"]


def program(name: str) -> str:
    """The path of a Debian program; AssertionError when it is not installed."""
    found = shutil.which(name)
    assert found, f"{name} is not installed: make packages"
    return found


def listening(port: int, process: subprocess.Popen[Any]) -> None:
    """Return when a process listens on its port."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        assert process.poll() is None, f"{process.args!r} ended with {process.returncode}"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, f"nobody listens on {port}"
            time.sleep(0.1)


@contextmanager
def browser(folder: Path, size: tuple[int, int] = (1880, 900)) -> Iterator[Browser]:
    """A new Chromium with a profile of its own; it and its driver end with the block."""
    port = free_port()
    with (folder / "chromedriver.log").open("w") as log:
        driver = subprocess.Popen([program("chromedriver"), f"--port={port}"], stdout=log, stderr=log)
    try:
        listening(port, driver)
        window = Browser(f"http://127.0.0.1:{port}", size, folder / "profile")
        try:
            yield window
        finally:
            window.close()
    finally:
        driver.terminate()
        driver.wait(timeout=10)
