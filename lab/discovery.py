"""What a simulated BMC tells before any login: how one can log in to it (IPMI 2.0, 22.13 and 22.15)."""

from collections.abc import Callable

from lab import rmcp
from lab.bmc import BAD_LENGTH, INVALID_COMMAND, NETFN_APP, OK

_CHANNEL_CAPABILITIES, _CIPHER_SUITES = 0x38, 0x54
_CIPHER_LIST = b"".join(suite.record() for suite in rmcp.SUITES)


def _channel_capabilities(data: bytes) -> bytes:
    """Get Channel Authentication Capabilities (22.13): IPMI 2.0 only, named users, two-key login off."""
    if len(data) < 2:
        return BAD_LENGTH
    return OK + (b"\x01\x80\x04\x02" if data[0] & 0x80 else b"\x01\x00\x04\x00") + bytes(4)


def _cipher_suites(data: bytes) -> bytes:
    """Get Channel Cipher Suites (22.15): both fit into the first list of 16 bytes."""
    if len(data) < 3:
        return BAD_LENGTH
    start = (data[2] & 0x3F) * 16
    return OK + b"\x01" + _CIPHER_LIST[start : start + 16]


#: By command number, the commands that need no session; each takes its data and gives code and data.
DISCOVERY: dict[int, Callable[[bytes], bytes]] = {
    _CHANNEL_CAPABILITIES: _channel_capabilities,
    _CIPHER_SUITES: _cipher_suites,
}


def answer_outside(message: bytes) -> bytes | None:
    """The answer to an IPMI message outside any session; None when it is not a request to be answered."""
    if not rmcp.well_formed(message) or message[1] >> 2 != NETFN_APP:
        return None
    command = DISCOVERY.get(message[5])
    return rmcp.response(message, command(message[6:-1]) if command else INVALID_COMMAND)
