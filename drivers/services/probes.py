"""Using a service as a node would, to see whether it works: each probe returns None, or what is wrong.

Formats: HTTP RFC 9110, FTP RFC 959 (ftplib), NTP RFC 5905 in its simple form, LDAP RFC 4511, TFTP RFC 1350,
DNS RFC 1035, ONC RPC RFC 5531.
"""

import ftplib
import http.client
import secrets
import socket
import struct
from collections.abc import Callable

TIMEOUT_S = 2.0
HERE = "127.0.0.1"

NTP_ASK = b"\x23" + bytes(47)  # version 4, mode 3 (client)
NTP_SERVER_MODE = 4
#: BindRequest: message 1, version 3, anonymous.
LDAP_BIND = bytes.fromhex("300c020101600702010304008000")
LDAP_BIND_RESPONSE = 0x61
TFTP_READ, TFTP_DATA, TFTP_ERROR = 1, 3, 5
NFS_NOT_THERE = 2
NFS_PROGRAM, NFS_VERSION, COMPOUND, PUTROOTFH, LOOKUP = 100003, 4, 1, 24, 15
REFUSING = {2: "SERVFAIL", 4: "NOTIMP", 5: "REFUSED"}


def probe(what: str, ask: Callable[[], str | None]) -> str | None:
    """Run one probe; an error of the network becomes a sentence about `what`."""
    try:
        return ask()
    except (OSError, EOFError, struct.error, ftplib.Error, http.client.HTTPException) as error:
        reason = "no answer" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
        return f"{what}: {reason}"


def http_get(port: int, path: str, expected: bytes, host: str = HERE) -> str | None:
    """GET a file whose content is known."""

    def ask() -> str | None:
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read(len(expected) + 1)
        finally:
            connection.close()
        if answer.status != http.client.OK:
            return f"HTTP GET {path}: status {answer.status} {answer.reason}"
        return None if body == expected else f"HTTP GET {path}: another content than on the disk"

    return probe(f"HTTP GET {path} on port {port}", ask)


def ftp_login(host: str = HERE, port: int = ftplib.FTP_PORT) -> str | None:
    """Log in anonymously and list the top folder."""

    def ask() -> str | None:
        with ftplib.FTP() as client:
            client.connect(host, port, TIMEOUT_S)
            client.login()
            client.nlst()
        return None

    return probe("anonymous FTP", ask)


def tcp_greeting(what: str, port: int, expected: bytes, host: str = HERE) -> str | None:
    """Connect and wait for the first word of a server that speaks first."""

    def ask() -> str | None:
        with socket.create_connection((host, port), TIMEOUT_S) as client:
            client.settimeout(TIMEOUT_S)
            said = client.recv(64)
        return None if said.startswith(expected) else f"{what} says {said!r}"

    return probe(f"{what} on port {port}", ask)


def ntp_query(host: str = HERE, port: int = 123) -> str | None:
    """Ask the time. A clock that is not synchronised yet is an answer too."""

    def ask() -> str | None:
        answer = _exchange((host, port), NTP_ASK)
        mode = answer[0] & 7
        return None if len(answer) >= 48 and mode == NTP_SERVER_MODE else "the NTP answer is none"

    return probe("NTP query", ask)


def ldap_bind(host: str = HERE, port: int = 389) -> str | None:
    """Bind anonymously; the server's refusal of anonymous users is an answer too."""

    def ask() -> str | None:
        with socket.create_connection((host, port), TIMEOUT_S) as client:
            client.sendall(LDAP_BIND)
            answer = client.recv(1024)
        return None if LDAP_BIND_RESPONSE in answer[:8] else "the answer to an LDAP bind is none"

    return probe("LDAP bind", ask)


def tftp_read(name: str, expected: bytes, host: str = HERE, port: int = 69) -> str | None:
    """Read a file of at most 511 bytes whose content is known."""

    def ask() -> str | None:
        request = struct.pack("!H", TFTP_READ) + name.encode() + b"\0octet\0"
        answer = _exchange((host, port), request, connected=False)
        code = struct.unpack("!H", answer[:2])[0]
        if code == TFTP_ERROR:
            return f"TFTP read of {name}: {answer[4:-1].decode(errors='replace')}"
        if code != TFTP_DATA or answer[4:] != expected:
            return f"TFTP read of {name}: another content than on the disk"
        return None

    return probe(f"TFTP read of {name}", ask)


def dns_query(name: str, host: str = HERE, port: int = 53) -> str | None:
    """Ask for an address; that there is none is an answer too."""

    def ask() -> str | None:
        number = secrets.token_bytes(2)
        labels = b"".join(bytes([len(label)]) + label.encode("idna") for label in name.split("."))
        answer = _exchange((host, port), number + b"\x01\0\0\x01" + bytes(6) + labels + b"\0\0\x01\0\x01")
        if answer[:2] != number or len(answer) < 12:
            return f"DNS query for {name}: the answer is none"
        code = answer[3] & 15
        return f"DNS query for {name}: {REFUSING[code]}" if code in REFUSING else None

    return probe(f"DNS query for {name}", ask)


def nfs_lookup(path: str, host: str = HERE, port: int = 2049) -> str | None:
    """Find a folder by NFS version 4 (RFC 7530): what a client that mounts does first."""

    def ask() -> str | None:
        number = secrets.token_bytes(4)
        names = [part.encode() for part in path.split("/") if part]
        steps = struct.pack("!I", PUTROOTFH)
        steps += b"".join(struct.pack("!I", LOOKUP) + _opaque(name) for name in names)
        # Credentials AUTH_SYS (1): stamp, host name, user 0, group 0, no further groups; verifier AUTH_NONE.
        user = struct.pack("!I", 0) + _opaque(b"serval") + struct.pack("!3I", 0, 0, 0)
        call = number + struct.pack("!5I", 0, 2, NFS_PROGRAM, NFS_VERSION, COMPOUND)
        call += struct.pack("!I", 1) + _opaque(user) + struct.pack("!2I", 0, 0)
        call += _opaque(b"") + struct.pack("!2I", 0, 1 + len(names)) + steps
        with socket.create_connection((host, port), TIMEOUT_S) as client:
            client.sendall(struct.pack("!I", 0x80000000 | len(call)) + call)
            answer = client.recv(4096)[4:]
        if answer[:4] != number or struct.unpack("!5I", answer[4:24]) != (1, 0, 0, 0, 0):
            return "NFS version 4 is refused"
        status = struct.unpack("!I", answer[24:28])[0]
        if status == NFS_NOT_THERE:
            return f"NFS: {path} is not exported; its file system must know file handles, as ext4 and xfs do"
        return f"NFS look-up of {path}: error {status}" if status else None

    return probe(f"NFS look-up of {path}", ask)


def _opaque(data: bytes) -> bytes:
    """Variable-length data of XDR: its length, itself, and zeros up to a multiple of four (RFC 4506)."""
    return struct.pack("!I", len(data)) + data + bytes(-len(data) % 4)


def _exchange(to: tuple[str, int], request: bytes, *, connected: bool = True) -> bytes:
    """One datagram there and one back; a TFTP server answers from another port than it was asked on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(TIMEOUT_S)
        if connected:
            client.connect(to)
            client.send(request)
        else:
            client.sendto(request, to)
        return client.recv(4096)
