"""Tables about the cluster as a whole: settings, credentials, who may do what.

SITE_KEYS are the settings that xCAT's documents name; any other key may be stored and is kept.
"""

from db.tables.declare import table

#: What is said of settings that nothing reads.
NONE = "Has no effect in Serval; kept for dumps and for people."
YET = "Nothing reads it yet."
#: Settings and what they do, which `tabdump -d site` prints.
SITE_KEYS = {
    "bmcca": "File (PEM) of certificates trusted beside the system's when BMCs are verified.",
    "bmctls": "Certificates of Redfish BMCs: verify (default), accept, or sha256:FINGERPRINT.",
    "confirmnodes": "A changing power command on more nodes than this asks first.",
    "consoleondemand": f"yes: consoles are connected while somebody looks. {YET}",
    "defserialport": f"Serial port where nodehm.serialport is empty. {NONE}",
    "defserialspeed": f"Serial speed where nodehm.serialspeed is empty. {NONE}",
    "dhcpinterfaces": f"Interfaces for DHCP, host|nic;host|nic; servicenode.dhcpinterfaces wins. {YET}",
    "dhcpreplydelay": "Seconds that later members of a pool wait with a DHCP offer, 0 to 10; 1.",
    "domain": "DNS domain of the cluster; makehosts makes full names with it.",
    "excludenodes": "Noderange that is taken away from every noderange.",
    "forwarders": f"Name servers that unknown names are passed on to. {YET}",
    "FQDNfirst": "1, yes or enable: makehosts writes the full name before the short one.",
    "hierarchicalattrs": "column[:delimiter],… whose values are joined over the node and all its groups.",
    "imagefetches": "How many service nodes fetch images at a time; 4.",
    "installdir": f"Root of everything that nodes install from; /install. {YET}",
    "installloc": f"[host:]directory that service nodes mount on installdir; empty: a copy each. {YET}",
    "ipmiretries": "How often a BMC is asked again.",
    "ipmitimeout": "How long a BMC is waited for, seconds.",
    "jobretention": "How many days ended jobs are kept.",
    "jobstart": "How long a service node may take to begin with its work, seconds.",
    "master": f"The management node as nodes know it. {YET}",
    "nameserver": f"An old spelling of nameservers. {NONE}",
    "nameservers": f"Name servers of the nodes; noderes.nameservers and networks.nameservers win. {YET}",
    "ntpservers": f"Time servers of the nodes; networks.ntpservers wins. {YET}",
    "sharedtftp": f"1: service nodes share the management node's tftpdir; must be 0 with pools. {YET}",
    "skiptables": "Comma separated tables that dumpxCATdb and restorexCATdb leave out.",
    "syspowerinterval": "Seconds between parts of a power command on many nodes; needs syspowermaxnodes.",
    "syspowermaxnodes": "Nodes in each part.",
    "tftpdir": f"TFTP root; /tftpboot. {YET}",
    "timezone": f"Time zone of the nodes. {YET}",
    "xcatdport": f"Port of xCAT's daemon. {NONE}",
    "xcatiport": f"Port of xCAT's install monitor. {NONE}",
}

site = table(
    "site",
    "Settings of the whole cluster, one a row.",
    ["key"],
    {"key": "The name of the setting.", "value": "Its value."},
)

passwd = table(
    "passwd",
    "Default credentials a component.",
    ["key", "username"],
    {
        "key": "The component: system, ipmi, redfish, openbmc, switch, omapi.",
        "username": "The user there.",
        "password": "The password, in clear or hashed as cryptmethod says.",
        "cryptmethod": "How the password is hashed: md5, sha256, sha512; empty is clear text.",
        "authdomain": "Authentication domain, where the component has such.",
    },
)

policy = table(
    "policy",
    "Who may do what; the first rule that matches decides, and without one the answer is no.",
    ["priority"],
    {
        "priority": "Rules are tried by this number, lowest first.",
        "name": "User; blank is anybody.",
        "host": "Host that the command comes from; blank is any.",
        "commands": "Comma separated commands; blank is all.",
        "noderange": "Nodes that the rule is about; blank is all.",
        "parameters": "Pattern for the arguments; blank is all.",
        "time": "Times at which the rule holds; not used.",
        "rule": "allow, accept or trusted let it pass; anything else refuses.",
    },
)
