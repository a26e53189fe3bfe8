"""The sentences in which a BMC driver answers for a target; they name the BMC and never hold a credential."""

import ipaddress
import socket
from contextlib import suppress

from core.errors import BmcAuthError, BmcRefused, BmcSilent, NoBmcAddress, UnsupportedAction
from core.power import may_repeat
from drivers.bmc.chassis import DOUBTFUL, meaning
from drivers.bmc.contract import Reply, Target, Timing, Verdict

#: RMCP+ and RAKP status codes (table 13-15).
RAKP_MEANING = {
    0x01: "Insufficient resources to create a session",
    0x02: "Invalid session ID",
    0x03: "Invalid payload type",
    0x04: "Invalid authentication algorithm",
    0x05: "Invalid integrity algorithm",
    0x06: "No matching authentication payload",
    0x07: "No matching integrity payload",
    0x08: "Inactive session ID",
    0x09: "Invalid role",
    0x0A: "Unauthorized role or privilege level requested",
    0x0B: "Insufficient resources to create a session at the requested role",
    0x0C: "Invalid name length",
    0x0D: "Unauthorized name",
    0x0E: "Unauthorized GUID",
    0x0F: "Invalid integrity check value",
    0x10: "Invalid confidentiality algorithm",
    0x11: "No cipher suite match with proposed security algorithms",
    0x12: "Illegal or unrecognized parameter",
}


def endpoint_of(target: Target) -> tuple[str, int] | None:
    """The numeric address in its usual spelling, and the port; None when they are not."""
    if not 0 < target.port < 65536:
        return None
    with suppress(OSError, ValueError):  # nearly all are of this kind, and ip_address takes ten times as long
        socket.inet_pton(socket.AF_INET, target.address)
        return target.address, target.port
    try:
        return str(ipaddress.ip_address(target.address)), target.port
    except ValueError:
        return None


class Replies:
    """The replies for one target."""

    __slots__ = ("_bmc", "_node")

    def __init__(self, target: Target) -> None:
        self._node = target.node
        self._bmc = f"BMC {target.address}"

    def ok(self, value: str, sent: str = "") -> Reply:
        """Done; `value` is printed."""
        return Reply(self._node, Verdict.OK, value, sent=sent)

    def refused(self, reason: str, sent: str = "") -> Reply:
        """The BMC understood and said no."""
        return Reply(self._node, Verdict.NODE, f"{reason} ({self._bmc})", BmcRefused.__name__, sent)

    def unsupported(self) -> Reply:
        """IPMI has no such command; the words before the colon are xCAT's."""
        advice = "IPMI can neither suspend nor wake; where the BMC speaks Redfish, set nodehm.power=redfish"
        text = f"Invalid or unsupported command ({self._bmc}): {advice}"
        return Reply(self._node, Verdict.NODE, text, UnsupportedAction.__name__)

    def completed(self, code: int, sent: str) -> Reply:
        """A completion code other than 0 for a command that changes the node."""
        if code not in DOUBTFUL:
            return self.refused(meaning(code), sent)
        text = f"{self._bmc} took '{sent}' and said: {meaning(code)}"
        return Reply(self._node, Verdict.LOST, text, BmcRefused.__name__, sent)

    def wrong_password(self) -> Reply:
        """The key exchange showed two different passwords."""
        text = f"Incorrect password provided ({self._bmc}); correct it in the ipmi or passwd table"
        return Reply(self._node, Verdict.NODE, text, BmcAuthError.__name__)

    def unauthorized(self, status: int) -> Reply:
        """The BMC knows no such user, or not at this level."""
        reason = RAKP_MEANING.get(status, f"RAKP status {status:02X}h")
        text = f"{reason} ({self._bmc}); correct the user in the ipmi or passwd table"
        return Reply(self._node, Verdict.NODE, text, BmcAuthError.__name__)

    def unusable(self, reason: str) -> Reply:
        """Credentials that IPMI 2.0 cannot carry."""
        return Reply(self._node, Verdict.NODE, f"{reason} ({self._bmc})", BmcAuthError.__name__)

    def no_address(self, address: str, port: int) -> Reply:
        """The target's address is no address."""
        text = f"{address!r} port {port} is no numeric BMC address; correct ipmi.bmc of the node"
        return Reply(self._node, Verdict.NODE, text, NoBmcAddress.__name__)

    def silent(self, timing: Timing, reason: str = "") -> Reply:
        """Nothing that changes the node was sent and the BMC stopped answering."""
        text = f"{self._bmc} did not answer within {timing.deadline_s:g} s (timeout)"
        return Reply(self._node, Verdict.WAY, f"{text}: {reason}" if reason else text, BmcSilent.__name__)

    def unsent(self, reason: str) -> Reply:
        """The network refused the datagram; nothing left."""
        return Reply(self._node, Verdict.WAY, f"{self._bmc} cannot be reached: {reason}", BmcSilent.__name__)

    def foreign(self, reason: str) -> Reply:
        """Another driver may understand this BMC."""
        return Reply(self._node, Verdict.FOREIGN, f"{self._bmc}: {reason}")

    def dropped(self) -> Reply:
        """Nothing was sent, because the gate said no or the batch was abandoned."""
        return Reply(self._node, Verdict.DROPPED, "nothing was sent")

    def lost(self, sent: str, timing: Timing | None = None) -> Reply:
        """`sent` left and no answer came."""
        wait = f" within {timing.deadline_s:g} s" if timing else ""
        advice = "" if may_repeat(sent) else "; look at the node before sending it again"
        text = f"{sent} was sent to {self._bmc} and no answer came{wait}{advice}"
        return Reply(self._node, Verdict.LOST, text, BmcSilent.__name__, sent)
