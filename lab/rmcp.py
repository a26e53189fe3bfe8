"""RMCP and RMCP+ on the wire, and the keyed hashes and cipher that seal it (IPMI 2.0 chapter 13, ASF 2.0).

Pure: bytes in, bytes out. Written apart from `drivers/bmc` on purpose, so that each judges the other.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

RMCP_IPMI = b"\x06\x00\xff\x07"
RMCP_ASF = b"\x06\x00\xff\x06"

#: Authentication type of every RMCP+ packet (table 13-8).
AUTH_RMCP_PLUS = 6
#: Payload type byte: an IPMI message, encrypted and authenticated.
SEALED_IPMI = 0xC0

#: Payload types (table 13-16).
OPEN_REQUEST, OPEN_RESPONSE, RAKP1, RAKP2, RAKP3, RAKP4 = range(0x10, 0x16)

_ASF_IANA = b"\x00\x00\x11\xbe"
_ASF_PING, _ASF_PONG = 0x80, 0x40
#: Presence pong: OEM ASF, no OEM data, IPMI supported and ASF 1.0, no interactions, reserved.
_PONG_DATA = _ASF_IANA + bytes(4) + b"\x81" + bytes(7)

#: Integrity padding by the number of bytes missing to a multiple of four, with pad length and next header.
_INTEGRITY_TRAILER = tuple(b"\xff" * n + bytes((n, 0x07)) for n in range(4))
#: Confidentiality trailer by pad length: 1, 2, 3 … and the length itself (section 13.29).
_CIPHER_TRAILER = tuple(bytes(range(1, n + 1)) + bytes((n,)) for n in range(16))
#: Every byte XORed with the two pads of HMAC.
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))


class Hash(Protocol):
    """The part of a hashlib object that is used here."""

    def copy(self) -> "Hash":
        """An independent copy."""

    def update(self, data: bytes, /) -> None:
        """Feed `data`."""

    def digest(self) -> bytes:
        """The hash so far."""


class HmacKey:
    """HMAC under one key with both key blocks hashed once (RFC 2104); less than half the cost of hmac.new."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, new: Callable[[bytes], Any], key: bytes) -> None:
        block = key.ljust(64, b"\0")
        self._inner: Hash = new(block.translate(_INNER_PAD))
        self._outer: Hash = new(block.translate(_OUTER_PAD))

    def digest(self, data: bytes) -> bytes:
        """The whole, untruncated HMAC of `data`."""
        inner = self._inner.copy()
        inner.update(data)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()


@dataclass(frozen=True, slots=True)
class Suite:
    """A cipher suite: its number, the three algorithm numbers, its hash and the length of integrity codes."""

    number: int
    authentication: int
    integrity: int
    confidentiality: int
    new_hash: Callable[[bytes], Any]
    code_length: int

    def key(self, secret: bytes) -> HmacKey:
        """An HMAC key of this suite's hash; `secret` is at most 64 bytes."""
        return HmacKey(self.new_hash, secret)

    def record(self) -> bytes:
        """The suite as Get Channel Cipher Suites lists it (table 22-19)."""
        return bytes(
            (0xC0, self.number, self.authentication, 0x40 | self.integrity, 0x80 | self.confidentiality)
        )


SUITES = (
    Suite(3, 1, 1, 1, hashlib.sha1, 12),
    Suite(17, 3, 4, 1, hashlib.sha256, 16),
)
SUITE_BY_AUTHENTICATION = {suite.authentication: suite for suite in SUITES}


class Aes:
    """AES-CBC-128 of one session's payloads, chained by hand on one pair of ECB contexts."""

    __slots__ = ("_decrypt", "_encrypt")

    def __init__(self, key: bytes) -> None:
        cipher = Cipher(algorithms.AES(key), modes.ECB())
        self._encrypt = cipher.encryptor().update
        self._decrypt = cipher.decryptor().update

    def encrypt(self, message: bytes, iv: bytes) -> bytes:
        """IV and ciphertext of `message` with its trailer."""
        plain = message + _CIPHER_TRAILER[-(len(message) + 1) % 16]
        block, sealed = iv, iv
        for start in range(0, len(plain), 16):
            mixed = int.from_bytes(block) ^ int.from_bytes(plain[start : start + 16])
            block = self._encrypt(mixed.to_bytes(16))
            sealed += block
        return sealed

    def decrypt(self, payload: bytes) -> bytes | None:
        """The message in IV and ciphertext; None when it is not well formed."""
        size = len(payload) - 16
        if size < 16 or size % 16:
            return None
        mixed = int.from_bytes(self._decrypt(payload[16:])) ^ int.from_bytes(payload[:-16])
        plain = mixed.to_bytes(size)
        pad = plain[-1]
        if pad > 15 or plain[size - 1 - pad : -1] != _CIPHER_TRAILER[pad][:-1]:
            return None
        return plain[: size - 1 - pad]


def checksum(data: bytes) -> int:
    """The two's complement sum that ends each half of an IPMI message."""
    return -sum(data) & 0xFF


def seal(payload: bytes, session_id: int, sequence: int, key: HmacKey, code_length: int) -> bytes:
    """A whole datagram around an encrypted IPMI payload, with its integrity code."""
    body = b"\x06\xc0%b%b%b%b%b" % (
        session_id.to_bytes(4, "little"),
        sequence.to_bytes(4, "little"),
        len(payload).to_bytes(2, "little"),
        payload,
        _INTEGRITY_TRAILER[-(len(payload) + 14) % 4],
    )
    return RMCP_IPMI + body + key.digest(body)[:code_length]


def plain_payload(kind: int, payload: bytes) -> bytes:
    """A whole RMCP+ datagram outside any session."""
    return RMCP_IPMI + bytes((AUTH_RMCP_PLUS, kind)) + bytes(8) + len(payload).to_bytes(2, "little") + payload


def legacy_message(message: bytes) -> bytes:
    """A whole IPMI 1.5 datagram outside any session."""
    return RMCP_IPMI + bytes(9) + bytes((len(message),)) + message


def response(request: bytes, answer: bytes) -> bytes:
    """The IPMI message that answers `request`; `answer` is the completion code and its data."""
    head = bytes((request[3], request[1] + 4 & 0xFF))
    body = bytes((request[0], request[4], request[5])) + answer
    return head + bytes((checksum(head),)) + body + bytes((checksum(body),))


def well_formed(message: bytes) -> bool:
    """Whether `message` is an IPMI request: long enough, both checksums right, an even netfn."""
    return (
        len(message) >= 7
        and not message[1] & 4
        and not sum(message[:3]) & 0xFF
        and not sum(message[3:]) & 0xFF
    )


def pong(datagram: bytes) -> bytes | None:
    """The answer to an ASF presence ping; None for anything else."""
    if len(datagram) < 12 or datagram[4:8] != _ASF_IANA or datagram[8] != _ASF_PING:
        return None
    return RMCP_ASF + _ASF_IANA + bytes((_ASF_PONG, datagram[9], 0, len(_PONG_DATA))) + _PONG_DATA
