"""Where a node's BMC is and how to log in, from table values (xCAT ipmi(5), openbmc(5), passwd(5)); pure.

nodehm.power, else nodehm.mgt, chooses the method. Address and credentials come from the ipmi table, or from
openbmc for openbmc and redfish; user and password that are both missing there come from the passwd row named
after the method. xCAT then falls back to the node's own name and to a built-in password; Serval says what is
missing instead (docs/xcat-differences.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core import webaccess
from core.errors import NoBmcAddress, NodeError, UnsupportedAction
from core.webaccess import Web

IPMI, OPENBMC, REDFISH = "ipmi", "openbmc", "redfish"
#: The table behind each method.
TABLE_OF = {IPMI: "ipmi", OPENBMC: "openbmc", REDFISH: "openbmc"}
#: The columns that `choose` needs, by table.
COLUMNS = {
    "nodehm": ["power", "mgt"],
    "ipmi": ["bmc", "username", "password"],
    "openbmc": ["bmc", "username", "password"],
}
IPMI_PORT = 623
LONGEST_IPMI_USER = 16
LONGEST_IPMI_PASSWORD = 20
#: Users and passwords of the passwd table, by its key.
Defaults = Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Access:
    """A BMC as the tables describe it; `host` may be a name, `port` is UDP for IPMI and TCP for Redfish."""

    host: str
    port: int
    username: str = field(repr=False)
    password: str = field(repr=False)
    method: str = IPMI
    #: For Redfish alone.
    web: Web | None = None


def method_of(values: Mapping[str, str]) -> str:
    """What controls the node's power; "" when nothing is set."""
    return values.get("nodehm.power") or values.get("nodehm.mgt") or ""


def choose(node: str, values: Mapping[str, str], defaults: Defaults) -> Access:
    """The access to `node`'s BMC.

    Raises NoBmcAddress, UnsupportedAction, DefinitionError or NodeError with what to set.
    """
    method = method_of(values)
    if not method:
        raise NodeError(f"no hardware control is set; try: chdef {node} mgt=ipmi")
    if method not in TABLE_OF:
        known = ", ".join(TABLE_OF)
        raise UnsupportedAction(
            f"hardware control '{method}' is not supported here; nodehm.mgt may be: {known}"
        )
    table = TABLE_OF[method]
    address = values.get(f"{table}.bmc", "").strip()
    if not address:
        raise NoBmcAddress(f"no BMC address is set; try: chdef {node} mgt={method} bmc=ADDRESS")
    username, password = _login(node, values, defaults, method)
    if method == IPMI:
        check_lengths(username, password)
        return Access(*split_port(address), username, password)
    port, web = webaccess.parse_web(address)
    return Access(web.host, port, username, password, method, web)


def _login(node: str, values: Mapping[str, str], defaults: Defaults, method: str) -> tuple[str, str]:
    table = TABLE_OF[method]
    login = values.get(f"{table}.username", ""), values.get(f"{table}.password", "")
    if not any(login):
        login = defaults.get(method, ("", ""))
    if not any(login):
        raise NodeError(
            f"no BMC user and password are set; try: chdef {node} bmcusername=… bmcpassword=…, "
            f"or the row key={method} of the passwd table"
        )
    return login


def split_port(text: str) -> tuple[str, int]:
    """Host and UDP port of an IPMI address; 623 where no port is written. Raises NoBmcAddress."""
    return webaccess.split_port(text, IPMI_PORT)


def check_lengths(username: str, password: str) -> None:
    """Refuse what IPMI 2.0 cannot carry (section 22.28 and 22.30); the values themselves are not printed."""
    if len(username.encode()) > LONGEST_IPMI_USER:
        raise NodeError(f"the BMC user name is longer than IPMI's {LONGEST_IPMI_USER} bytes: shorten it")
    if len(password.encode()) > LONGEST_IPMI_PASSWORD:
        raise NodeError(f"the BMC password is longer than IPMI's {LONGEST_IPMI_PASSWORD} bytes: shorten it")
