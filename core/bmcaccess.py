"""Where a node's BMC is and how to log in, from table values (xCAT ipmi(5), passwd(5)); pure.

Address and credentials come from the ipmi table; user and password that are both missing there come from the
passwd row `ipmi`. xCAT then falls back to the node's own name and to a built-in password; Serval says what
is missing instead (docs/xcat-differences.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.errors import NoBmcAddress, NodeError, UnsupportedAction

#: The columns that `choose` needs, by table.
COLUMNS = {"nodehm": ["power", "mgt"], "ipmi": ["bmc", "username", "password"]}
IPMI_PORT = 623
LONGEST_IPMI_USER = 16
LONGEST_IPMI_PASSWORD = 20


@dataclass(frozen=True, slots=True)
class Access:
    """A BMC as the tables describe it; `host` may be a name, `port` is UDP."""

    host: str
    port: int
    username: str = field(repr=False)
    password: str = field(repr=False)


def choose(node: str, values: Mapping[str, str], default: tuple[str, str] | None) -> Access:
    """The access to `node`'s BMC; `default` is user and password of the passwd row `ipmi`.

    Raises NoBmcAddress, UnsupportedAction or NodeError with what to set.
    """
    method = values.get("nodehm.power") or values.get("nodehm.mgt") or ""
    if not method:
        raise NodeError(f"no hardware control is set; try: chdef {node} mgt=ipmi")
    if method != "ipmi":
        raise UnsupportedAction(f"hardware control '{method}' is not supported here; nodehm.mgt may be: ipmi")
    host = values.get("ipmi.bmc", "").strip()
    if not host:
        raise NoBmcAddress(f"no BMC address is set; try: chdef {node} bmc=ADDRESS")
    username, password = values.get("ipmi.username", ""), values.get("ipmi.password", "")
    if not username and not password:
        username, password = default or ("", "")
    if not username and not password:
        raise NodeError(
            f"no BMC user and password are set; try: chdef {node} bmcusername=… bmcpassword=…, "
            "or the row key=ipmi of the passwd table"
        )
    check_lengths(username, password)
    return Access(*split_port(host), username, password)


def split_port(text: str) -> tuple[str, int]:
    """Host and UDP port of `10.0.0.7`, `bmc7:6230` or `[fd00::7]:6230`; 623 where no port is written.

    Raises NoBmcAddress when the port is none.
    """
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        return text.strip("[]"), IPMI_PORT
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise NoBmcAddress(f"the BMC address '{text}' has no valid port")
    return host.strip("[]"), int(port)


def check_lengths(username: str, password: str) -> None:
    """Refuse what IPMI 2.0 cannot carry (section 22.28 and 22.30); the values themselves are not printed."""
    if len(username.encode()) > LONGEST_IPMI_USER:
        raise NodeError(f"the BMC user name is longer than IPMI's {LONGEST_IPMI_USER} bytes: shorten it")
    if len(password.encode()) > LONGEST_IPMI_PASSWORD:
        raise NodeError(f"the BMC password is longer than IPMI's {LONGEST_IPMI_PASSWORD} bytes: shorten it")
