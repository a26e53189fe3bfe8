"""RMCP+ datagrams as bytes: framing, key exchange, integrity and confidentiality (IPMI 2.0 section 13).

Pure functions and small values; no socket and no clock. Cipher suites 3 (SHA-1) and 17 (SHA-256), both
with AES-CBC-128. The digests keep their key schedule as hashlib copies, and CBC is done by hand over one
ECB context a session: both because a service node opens thousands of sessions a second.
"""

import hashlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

#: Payload types (table 13-16); in-session IPMI messages are authenticated and encrypted.
OPEN_REQUEST, OPEN_RESPONSE = 0x10, 0x11
RAKP1, RAKP2, RAKP3, RAKP4 = 0x12, 0x13, 0x14, 0x15
SEALED_MESSAGE = 0xC0

_RMCP = b"\x06\x00\xff\x07"
_SETUP_HEAD = Struct("<4sBB8xH")
_LE32 = Struct("<I")
_BLOCK = 16
#: A sealed request is always one block: two pad bytes, their count, next header (figure 13-8).
_SEALED_SIZE = b"\x20\x00"
_TRAILER = b"\xff\xff\x02\x07"
#: Confidentiality padding for a message of n bytes (table 13-20).
_PAD = [bytes(range(1, _BLOCK - n)) + bytes((_BLOCK - 1 - n,)) for n in range(_BLOCK)]
_INNER = bytes(value ^ 0x36 for value in range(256))
_OUTER = bytes(value ^ 0x5C for value in range(256))

#: Longest message that `Seal.seal` takes; every chassis command fits.
MAX_MESSAGE = _BLOCK - 1
MAX_USERNAME = 16
MAX_PASSWORD = 20


@dataclass(frozen=True, slots=True)
class Suite:
    """One cipher suite: its algorithm numbers, its hash, and how many bytes of a digest travel."""

    number: int
    authentication: int
    integrity: int
    hash_name: str
    digest_size: int
    icv_size: int


SUITE_17 = Suite(17, 3, 4, "sha256", 32, 16)
SUITE_3 = Suite(3, 1, 1, "sha1", 20, 12)
_AES_CBC_128 = 1


class Mac:
    """HMAC under one key; calling it with a text gives the whole digest."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes, hash_name: str) -> None:
        # No key here is longer than the 64 byte block of SHA-1 and SHA-256.
        block = key.ljust(64, b"\0")
        self._inner = hashlib.new(hash_name, block.translate(_INNER))
        self._outer = hashlib.new(hash_name, block.translate(_OUTER))

    def __call__(self, text: bytes) -> bytes:
        inner = self._inner.copy()
        inner.update(text)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()


def setup_datagram(payload_type: int, payload: bytes) -> bytes:
    """`payload` outside any session."""
    return _SETUP_HEAD.pack(_RMCP, 6, payload_type, len(payload)) + payload


def setup_payload(datagram: bytes) -> bytes:
    """The payload of a session-less RMCP+ datagram, empty when its length field lies."""
    size = datagram[14] | datagram[15] << 8
    payload = datagram[16 : 16 + size]
    return payload if len(payload) == size else b""


def open_request(tag: int, console_sid: bytes, suite: Suite) -> bytes:
    """Open Session Request (table 13-9) for the highest privilege and exactly one suite."""
    algorithms_of = enumerate((suite.authentication, suite.integrity, _AES_CBC_128))
    proposal = b"".join(bytes((kind, 0, 0, 8, number, 0, 0, 0)) for kind, number in algorithms_of)
    return setup_datagram(OPEN_REQUEST, bytes((tag, 0, 0, 0)) + console_sid + proposal)


def agrees(open_response: bytes, suite: Suite) -> bool:
    """Whether a successful Open Session Response (table 13-10) names the algorithms of `suite`."""
    chosen = (open_response[16], open_response[24], open_response[32])
    return chosen == (suite.authentication, suite.integrity, _AES_CBC_128)


class Exchange:
    """One RAKP exchange: what both sides contributed, the checks and keys that follow (13.28 to 13.32)."""

    __slots__ = (
        "_bmc_random",
        "_bmc_sid",
        "_console_sid",
        "_guid",
        "_mac",
        "_name",
        "_random",
        "_sik",
        "_suite",
    )

    def __init__(
        self,
        suite: Suite,
        username: bytes,
        password: bytes,
        privilege: int,
        console_sid: bytes,
        bmc_sid: bytes,
    ) -> None:
        self._suite = suite
        self._mac = Mac(password, suite.hash_name)
        # 0x10: the user is looked up by name alone.
        self._name = bytes((0x10 | privilege, len(username))) + username
        self._console_sid = console_sid
        self._bmc_sid = bmc_sid
        self._random = os.urandom(16)
        self._bmc_random = self._guid = b""
        self._sik: Mac | None = None

    def rakp1(self, tag: int) -> bytes:
        """RAKP Message 1 (table 13-11)."""
        role, rest = self._name[:1], self._name[1:]
        payload = bytes((tag, 0, 0, 0)) + self._bmc_sid + self._random + role + b"\0\0" + rest
        return setup_datagram(RAKP1, payload)

    def accept_rakp2(self, payload: bytes) -> bool:
        """Take the BMC's share; False when its digest shows another password than ours."""
        size = self._suite.digest_size
        bmc_random, guid = payload[8:24], payload[24:40]
        text = self._console_sid + self._bmc_sid + self._random + bmc_random + guid + self._name
        if not hmac.compare_digest(self._mac(text), payload[40 : 40 + size]):
            return False
        self._bmc_random, self._guid = bmc_random, guid
        sik = self._mac(self._random + bmc_random + self._name)
        self._sik = Mac(sik, self._suite.hash_name)
        return True

    def rakp3(self, tag: int) -> bytes:
        """RAKP Message 3 (table 13-13); only after `accept_rakp2`."""
        digest = self._mac(self._bmc_random + self._console_sid + self._name)
        return setup_datagram(RAKP3, bytes((tag, 0, 0, 0)) + self._bmc_sid + digest)

    def accept_rakp4(self, payload: bytes) -> "Seal | None":
        """The keys of the open session; None when the integrity check value is not the BMC's."""
        if self._sik is None:
            return None
        size = self._suite.icv_size
        expected = self._sik(self._random + self._bmc_sid + self._guid)[:size]
        if not hmac.compare_digest(expected, payload[8 : 8 + size]):
            return None
        return Seal(self._suite, self._sik, self._console_sid, self._bmc_sid)


class Seal:
    """Integrity and confidentiality of one open session."""

    __slots__ = ("_decrypt", "_encrypt", "_head", "_icv_size", "_mac", "_own_head", "bmc_sid")

    def __init__(self, suite: Suite, sik: Mac, console_sid: bytes, bmc_sid: bytes) -> None:
        self.bmc_sid = bmc_sid
        self._icv_size = suite.icv_size
        self._mac = Mac(sik(b"\x01" * 20), suite.hash_name)
        aes = Cipher(algorithms.AES(sik(b"\x02" * 20)[:16]), modes.ECB())
        self._encrypt: Callable[[bytes], bytes] = aes.encryptor().update
        self._decrypt: Callable[[bytes], bytes] = aes.decryptor().update
        self._head = bytes((6, SEALED_MESSAGE)) + bmc_sid
        self._own_head = bytes((6, SEALED_MESSAGE)) + console_sid

    def seal(self, message: bytes, sequence: int) -> bytes:
        """The datagram that carries `message` (at most MAX_MESSAGE bytes) under a session sequence number."""
        vector = os.urandom(_BLOCK)
        plain = message + _PAD[len(message)]
        block = (int.from_bytes(plain) ^ int.from_bytes(vector)).to_bytes(_BLOCK)
        body = self._head + _LE32.pack(sequence) + _SEALED_SIZE + vector + self._encrypt(block) + _TRAILER
        return _RMCP + body + self._mac(body)[: self._icv_size]

    def unseal(self, datagram: bytes) -> bytes | None:
        """The message in a datagram to this session; None for anything that the BMC did not seal."""
        icv_size = self._icv_size
        size = datagram[14] | datagram[15] << 8
        if (
            datagram[4:10] != self._own_head
            or size % _BLOCK
            or size < 32
            or 18 + size + icv_size > len(datagram)
        ):
            return None
        if not hmac.compare_digest(self._mac(datagram[4:-icv_size])[:icv_size], datagram[-icv_size:]):
            return None
        chained, secret = datagram[16:size], datagram[32 : 16 + size]
        plain = (int.from_bytes(self._decrypt(secret)) ^ int.from_bytes(chained)).to_bytes(size - _BLOCK)
        message = plain[: size - _BLOCK - 1 - plain[-1]] if plain[-1] < size - _BLOCK - 1 else b""
        return message if len(message) >= 8 else None


def request_message(netfn: int, command: int, data: bytes, sequence: int) -> bytes:
    """An IPMI request to the BMC (figure 13-4) with rqSeq `sequence` (0 to 63)."""
    head = netfn << 2
    number = sequence << 2
    checksum = -(0x81 + number + command + sum(data)) & 0xFF
    return bytes((0x20, head, -(0x20 + head) & 0xFF, 0x81, number, command, *data, checksum))


#: Get Channel Authentication Capabilities in an IPMI 1.5 frame, asking for IPMI 2.0 data (section 22.13).
AUTH_CAP_REQUEST = _RMCP + bytes(9) + b"\x09" + request_message(6, 0x38, b"\x8e\x04", 0)


def speaks_2_0(datagram: bytes) -> bool | None:
    """Whether a capabilities answer offers IPMI 2.0; None when `datagram` is no such answer."""
    message = datagram[14:]
    if len(message) < 12 or message[1] != 0x1C or message[5] != 0x38:
        return None
    if message[6] or len(message) < 15:
        return False
    return bool(message[8] & 0x80 and message[10] & 0x02)
