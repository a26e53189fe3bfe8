"""Definitions to start from: `mkdef --template x86_64-template n1 groups=all bmc=10.0.0.1 ip=10.1.0.1`.

As in xCAT a value that begins with MANDATORY: must be given by whoever uses the template, and one that begins
with OPTIONAL: may be.
"""

from collections.abc import Mapping

from core.errors import DefinitionError

MANDATORY = "MANDATORY:"
OPTIONAL = "OPTIONAL:"

_BOOT = {
    "ip": "MANDATORY:The address of the node",
    "mac": "OPTIONAL:The MAC address of the node",
    "netboot": "xnba",
    "serialport": "0",
    "serialspeed": "115200",
}
#: Templates of nodes by name.
NODE_TEMPLATES: dict[str, dict[str, str]] = {
    "x86_64-template": {
        **_BOOT,
        "arch": "x86_64",
        "bmc": "MANDATORY:The host name or address of the BMC",
        "bmcpassword": "OPTIONAL:The password of the BMC",
        "bmcusername": "OPTIONAL:The user of the BMC",
        "cons": "ipmi",
        "getmac": "ipmi",
        "groups": "all",
        "mgt": "ipmi",
        "usercomment": "A server with an IPMI BMC",
    },
    "redfish-template": {
        **_BOOT,
        "arch": "x86_64",
        "bmc": "MANDATORY:The host name or address of the BMC, or https://BMC/redfish/v1/Systems/ID",
        "bmcpassword": "OPTIONAL:The password of the BMC",
        "bmcusername": "OPTIONAL:The user of the BMC",
        "groups": "all",
        "mgt": "redfish",
        "usercomment": "A server whose BMC speaks Redfish",
    },
    "switch-template": {
        "groups": "switch",
        "ip": "MANDATORY:The address of the switch",
        "mac": "OPTIONAL:The MAC address of the switch",
        "mgt": "switch",
        "nodetype": "switch",
        "password": "OPTIONAL:The password to log in with",
        "switchtype": "OPTIONAL:The make of the switch: Mellanox, Cisco, BNT, Juniper, onie",
        "usercomment": "A switch",
        "username": "OPTIONAL:The user to log in as",
    },
    "pdu-template": {
        "groups": "pdu",
        "ip": "MANDATORY:The address of the unit",
        "mac": "OPTIONAL:The MAC address of the unit",
        "mgt": "pdu",
        "nodetype": "pdu",
        "outlet": "OPTIONAL:The number of outlets",
        "password": "OPTIONAL:The password to log in with",
        "pdutype": "MANDATORY:The make of the unit: irpdu, crpdu",
        "usercomment": "A power distribution unit",
        "username": "OPTIONAL:The user to log in as",
    },
}


def filled(name: str, template: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """A template with what is given in place. Raises DefinitionError: a mandatory value is missing."""
    missing = [
        f"{attribute} ({value.removeprefix(MANDATORY)})"
        for attribute, value in sorted(template.items())
        if value.startswith(MANDATORY) and not given.get(attribute)
    ]
    if missing:
        raise DefinitionError(f"The template '{name}' needs: {'; '.join(missing)}.")
    fixed = {key: value for key, value in template.items() if not value.startswith((MANDATORY, OPTIONAL))}
    return {**fixed, **given}
