"""Redfish services for tests: sushy-tools' emulator, and a small service of our own that fails on demand."""

import base64
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import bcrypt
import trustme

from core.webaccess import Web
from drivers.bmc.contract import Target
from drivers.freeport import free_port

USER, PASSWORD = "admin", "S3cr:t/pä"
SYSTEM = "/redfish/v1/Systems/1"
RESET = f"{SYSTEM}/Actions/ComputerSystem.Reset"
SESSIONS = "/redfish/v1/SessionService/Sessions"


@dataclass(frozen=True)
class Certificate:
    """A certificate for 127.0.0.1 and bmc7.test, with the CA that signed it."""

    chain: Path
    key: Path
    ca: str
    fingerprint: str


def make_certificate(folder: Path) -> Certificate:
    """Files for a server, below `folder`."""
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", "bmc7.test")
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    der = ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())
    return Certificate(chain, key, authority.cert_pem.bytes().decode(), sha256(der).hexdigest())


def target(port: int, web: Web, password: str = PASSWORD, node: str = "n1") -> Target:
    """A Redfish service on 127.0.0.1."""
    return Target(node, "127.0.0.1", USER.encode(), password.encode(), port, web)


class Emulator:
    """A running sushy-emulator with fake systems; its log says what they were told."""

    def __init__(self, folder: Path, certificate: Certificate, powered: Mapping[str, bool]) -> None:
        self.port = free_port()
        users = folder / "users"
        users.write_text(f"{USER}:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}\n")
        systems = [
            {"uuid": uuid, "name": uuid, "power_state": "On" if on else "Off", "nics": []}
            for uuid, on in powered.items()
        ]
        config = folder / "emulator.conf"
        config.write_text(
            f"SUSHY_EMULATOR_FAKE_SYSTEMS = {systems!r}\nSUSHY_EMULATOR_STATE_DIR = {str(folder)!r}\n"
            f"SUSHY_EMULATOR_AUTH_FILE = {str(users)!r}\n"
        )
        self._log = folder / "emulator.log"
        program = Path(sys.executable).parent / "sushy-emulator"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [program, "--config", config, "--fake", "-i", "127.0.0.1", "-p", str(self.port),
                 "--ssl-certificate", certificate.chain, "--ssl-key", certificate.key],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        for _ in range(200):
            if self._process.poll() is None and _listens(self.port):
                return
            time.sleep(0.1)
        self.stop()
        raise AssertionError(self._log.read_text())

    def resets(self, uuid: str) -> int:
        """How many resets of any type a system was told."""
        return self._log.read_text().count(f"POST /redfish/v1/Systems/{uuid}/Actions/ComputerSystem.Reset")

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


#: A fault answers in place of the service; True when it did.
Fault = Callable[["Handler"], bool]


@dataclass
class State:
    """What a Service is, received, and does wrong."""

    powered: bool = True
    boot: dict[str, Any] = field(default_factory=lambda: {"BootSourceOverrideEnabled": "Disabled"})
    allowed: list[str] | None = None
    action_info: bool = False
    sessions: bool = True
    open_sessions: set[str] = field(default_factory=set)
    faults: dict[tuple[str, str], Fault] = field(default_factory=dict)
    received: Counter[tuple[str, str]] = field(default_factory=Counter)
    bodies: list[Any] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)


class Service(ThreadingHTTPServer):
    """A Redfish service with one system on a free port; `state` is read and changed by tests."""

    daemon_threads = True

    def __init__(self, certificate: Certificate | None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.state = State()
        self._context = None
        if certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(certificate.chain, certificate.key)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The TCP port."""
        return int(self.server_address[1])

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self._context is not None:
            try:
                request = self._context.wrap_socket(request, server_side=True)
            except OSError:
                return
        try:
            super().finish_request(request, client_address)
        except OSError:
            return
        finally:
            request.close()

    def stop(self) -> None:
        """End; hanging requests are released."""
        self.state.released.set()
        self.shutdown()
        self.server_close()
        self._thread.join()


class Handler(BaseHTTPRequestHandler):
    """One connection to a Service."""

    protocol_version = "HTTP/1.1"
    #: Head and body in one packet; two would wait for each other (RFC 896).
    wbufsize = 1 << 16
    server: Service

    def log_message(self, *_: object) -> None:
        """Be quiet."""

    def send(self, status: int, document: object = None, **headers: str) -> None:
        """A JSON answer."""
        body = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def handle_any(self) -> None:
        """Count, fail on demand, check the login, answer."""
        state, here = self.server.state, (self.command, self.path)
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        state.received[here] += 1
        fault = state.faults.get(here)
        if fault is not None and fault(self):
            return
        if here not in {("GET", "/redfish/v1/"), ("POST", SESSIONS)} and not self._known():
            self.send(401)
            return
        answer = getattr(self, f"answer_{self.command.lower()}", None)
        if answer is None or not answer(state, body):
            self.send(404)

    do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815 (names that the library calls)

    def _known(self) -> bool:
        token = self.headers.get("X-Auth-Token")
        if token is not None:
            return token in self.server.state.open_sessions
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return self.headers.get("Authorization") == f"Basic {login}"

    def answer_get(self, state: State, _: Any) -> bool:
        root: dict[str, Any] = {"Systems": {"@odata.id": "/redfish/v1/Systems"}}
        if state.sessions:
            root["Links"] = {"Sessions": {"@odata.id": SESSIONS}}
        action: dict[str, Any] = {"target": RESET}
        if state.action_info:
            action["@Redfish.ActionInfo"] = f"{SYSTEM}/ResetActionInfo"
        elif state.allowed is not None:
            action["ResetType@Redfish.AllowableValues"] = state.allowed
        system = {
            "PowerState": "On" if state.powered else "Off",
            "Boot": state.boot,
            "Actions": {"#ComputerSystem.Reset": action},
        }
        info = {"Parameters": [{"Name": "ResetType", "AllowableValues": state.allowed}]}
        found = {
            "/redfish/v1/": root,
            "/redfish/v1/Systems": {"Members": [{"@odata.id": SYSTEM}]},
            SYSTEM: system,
            f"{SYSTEM}/ResetActionInfo": info,
        }.get(self.path)
        if found is not None:
            self.send(200, found, ETag='W/"1"')
        return found is not None

    def answer_post(self, state: State, body: Any) -> bool:
        if self.path == SESSIONS and state.sessions:
            if body != {"UserName": USER, "Password": PASSWORD}:
                self.send(401, {"error": {"message": f"no {body}"}})
                return True
            token = f"token{sum(state.received.values())}"
            state.open_sessions.add(token)
            self.send(201, {}, X_Auth_Token=token, Location=f"https://bmc7.test{SESSIONS}/{token}")
            return True
        if self.path == RESET:
            state.bodies.append(body)
            state.powered = "Off" not in body["ResetType"] and "Shutdown" not in body["ResetType"]
            self.send(204)
        return self.path == RESET

    def answer_patch(self, state: State, body: Any) -> bool:
        if self.path == SYSTEM:
            state.bodies.append(body)
            state.boot = {**state.boot, **body["Boot"]}
            self.send(200, {})
        return self.path == SYSTEM

    def answer_delete(self, state: State, _: Any) -> bool:
        state.open_sessions.discard(self.path.rpartition("/")[2])
        self.send(204)
        return True


# -- faults ----------------------------------------------------------------------------------------


def hang(handler: Handler) -> bool:
    """Never answer."""
    handler.server.state.released.wait()
    handler.close_connection = True
    return True


def hang_up(handler: Handler) -> bool:
    """Close the connection without an answer."""
    handler.close_connection = True
    return True


def answer(status: int, document: object = None, **headers: str) -> Fault:
    """Answer so, always."""

    def fault(handler: Handler) -> bool:
        handler.send(status, document, **headers)
        return True

    return fault


def raw(data: bytes) -> Fault:
    """Send these bytes and close the connection."""

    def fault(handler: Handler) -> bool:
        handler.wfile.write(data)
        handler.close_connection = True
        return True

    return fault


def times(count: int, fault: Fault) -> Fault:
    """Fail so often, then do it right."""
    left = [count]

    def limited(handler: Handler) -> bool:
        left[0] -= 1
        return left[0] >= 0 and fault(handler)

    return limited


def after(fault: Fault) -> Fault:
    """Do it, and then answer with the fault."""

    def late(handler: Handler) -> bool:
        handler.server.state.powered = True
        return fault(handler)

    return late
