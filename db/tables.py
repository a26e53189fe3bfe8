"""The xCAT tables, with the columns of xCAT 2.19 in xCAT's order (`tabdump` prints exactly these).

Every column is text and nothing is checked when it is stored: a dump of a live xCAT site restores, and a
regex value (`|node(\\d+)|10.0.0.($1)|`) fits into any column. `comments` and `disable` end every table. The
`doc` of a column is what `tabdump -d` prints.
"""

from sqlalchemy import Column, Table, Text

from db.base import metadata

#: Every xCAT table by name, in the order `tabdump` lists them.
TABLES: dict[str, Table] = {}
#: What each table is for, in one sentence.
DOCS: dict[str, str] = {}

NODE_KEY = {"node": "A node name or a group name; a group's row holds for all its nodes."}
ENDING = {
    "comments": "Free text for people.",
    "disable": "Any value but 0 or no hides the row from every look-up; tabdump still shows it.",
}


def table(name: str, doc: str, keys: dict[str, str], columns: dict[str, str]) -> Table:
    """Declare one table: key columns, then the others, each with its doc."""
    made = Table(
        name,
        metadata,
        *(Column(column, Text, primary_key=True, nullable=False, doc=text) for column, text in keys.items()),
        *(Column(column, Text, doc=text) for column, text in {**columns, **ENDING}.items()),
    )
    TABLES[name] = made
    DOCS[name] = doc
    return made


def node_table(name: str, doc: str, **columns: str) -> Table:
    """Declare a table whose rows belong to a node or a group of nodes."""
    return table(name, doc, NODE_KEY, columns)


def key_names(of: Table) -> list[str]:
    """The key columns of a table, in order."""
    return [column.name for column in of.primary_key.columns]


site = table(
    "site",
    "Settings of the whole cluster, one a row.",
    {"key": "The name of the setting."},
    {"value": "Its value."},
)

nodelist = table(
    "nodelist",
    "Every node with its groups and its state.",
    {"node": "The node's host name."},
    {
        "groups": "Comma separated groups; for inherited values the first group that has one wins.",
        "status": "What is known of the node's state, such as booted, installing, powering-on, failed.",
        "statustime": "When status last changed, MM-DD-YYYY HH:MM:SS.",
        "appstatus": "States of applications on the node: sshd=up,ftp=down.",
        "appstatustime": "When appstatus last changed.",
        "primarysn": "Not used; kept for dumps of older sites.",
        "hidden": "1 hides the node from lists of nodes (service processors of big frames).",
        "updatestatus": "State of the node's synchronised files: synced, out-of-sync, syncing, failed.",
        "updatestatustime": "When updatestatus last changed.",
        "zonename": "The ssh key zone of the node; empty is the default zone.",
    },
)

nodegroup = table(
    "nodegroup",
    "Groups that are dynamic, empty or have something to say about themselves.",
    {"groupname": "The name of the group."},
    {
        "grouptype": "static: members carry the group in nodelist.groups; dynamic: wherevals selects them.",
        "members": "dynamic for a dynamic group; the members of a static group are not kept here.",
        "membergroups": "Comma separated groups whose nodes belong to this group too.",
        "wherevals": "Selection of a dynamic group, attr==value::attr=~regex, evaluated at each use.",
    },
)

nodetype = node_table(
    "nodetype",
    "What a node is and which system it runs.",
    os="Operating system and version, such as rocky9.4 or ubuntu22.04.",
    arch="Hardware architecture, such as x86_64, ppc64le, aarch64.",
    profile="Name of the set of templates and package lists: compute, service.",
    provmethod="The osimage that the node is installed or booted with.",
    supportedarchs="Comma separated architectures that the node can run.",
    nodetype="Comma separated kinds: osi, switch, mp, vm, ppc.",
)

nodehm = node_table(
    "nodehm",
    "How a node's hardware is controlled.",
    power="Hardware control used for power, where it is not mgt.",
    mgt="Hardware control of the node: ipmi, openbmc, hmc, blade, kvm.",
    cons="Hardware control used for the console, where it is not mgt.",
    termserver="Terminal server that the console is wired to.",
    termport="Port of the terminal server.",
    conserver="Host that runs the console daemon of the node; empty is the management node.",
    serialport="Serial port of the console: 0 is ttyS0.",
    serialspeed="Speed of the serial port, bit/s.",
    serialflow="Flow control of the serial port: hard, soft, none.",
    getmac="Hardware control used to read MAC addresses, where it is not mgt.",
    cmdmapping="File that maps commands to modules; not used.",
    consoleondemand="yes: the console is connected while somebody looks; overrides site.consoleondemand.",
    consoleenabled="1 when the console is registered with the console daemon.",
)

noderes = node_table(
    "noderes",
    "Which servers a node uses.",
    servicenode="Comma separated pool of service nodes as the management node knows them, best first.",
    netboot="Boot loader: xnba, pxe, grub2, petitboot.",
    tftpserver="TFTP server as the node knows it; empty is xcatmaster; must be empty with a pool.",
    tftpdir="TFTP root of this node; empty is site.tftpdir.",
    nfsserver="NFS or HTTP server as the node knows it; empty is xcatmaster; must be empty with a pool.",
    monserver="Monitoring server: the name on the management side, then the name the node knows.",
    nfsdir="Directory on the NFS server that the node installs from.",
    installnic="Interface to install over: mac, or a name such as eth0.",
    primarynic="Interface that carries the node's own name: mac, or a name such as eth0.",
    discoverynics="Interfaces probed during discovery; empty is all.",
    cmdinterface="Not used; kept for dumps of older sites.",
    xcatmaster="The service node as the node knows it; must be empty with a pool.",
    current_osimage="Not used; kept for dumps of older sites.",
    next_osimage="Not used; kept for dumps of older sites.",
    nimserver="Not used on Linux; kept for dumps of older sites.",
    routenames="Comma separated rows of the routes table to set on the node.",
    nameservers="Name servers of the node; <xcatmaster> is its service node.",
    proxydhcp="yes when the node's boot loader may ask a DHCP proxy, else no.",
    syslog="ignore leaves the node's syslog as it is.",
)

servicenode = node_table(
    "servicenode",
    "What is set up on a service node; a node is one only when it has a row here. 1 or yes means set up.",
    nameserver="DNS server; 2 makes it a secondary server of the management node.",
    dhcpserver="DHCP server.",
    tftpserver="TFTP server.",
    nfsserver="NFS and HTTP server.",
    conserver="Console daemon; 2 is goconserver.",
    monserver="Monitoring server.",
    ldapserver="LDAP caching proxy.",
    ntpserver="Time server.",
    ftpserver="FTP server.",
    nimserver="Not used on Linux; kept for dumps of older sites.",
    ipforward="IP forwarding between the service node's networks.",
    dhcpinterfaces="Interfaces that DHCP answers on; overrides site.dhcpinterfaces for this host.",
    proxydhcp="DHCP proxy for boot loaders.",
)

ipmi = node_table(
    "ipmi",
    "BMCs that speak IPMI.",
    bmc="Host name or address of the BMC; empty is the node's own name.",
    bmcport="Which port the BMC uses: 0 shared, 1 dedicated, or a vendor's own words.",
    taggedvlan="VLAN tag of the BMC's port.",
    bmcid="Identity of the BMC, found by discovery.",
    username="User on the BMC; when this or password is set, both are taken from here.",
    password="Password on the BMC.",
)

openbmc = node_table(
    "openbmc",
    "BMCs that run OpenBMC.",
    bmc="Host name or address of the BMC.",
    consport="SSH port of the console.",
    taggedvlan="VLAN tag of the BMC's port.",
    username="User on the BMC; when this or password is set, both are taken from here.",
    password="Password on the BMC.",
)

postscripts = node_table(
    "postscripts",
    "Scripts that run on a node after installation or boot.",
    postscripts="Comma separated scripts run at the end of the installation.",
    postbootscripts="Comma separated scripts run after the first boot.",
)

passwd = table(
    "passwd",
    "Default credentials a component.",
    {
        "key": "The component: system, ipmi, openbmc, switch, omapi.",
        "username": "The user there.",
    },
    {
        "password": "The password, in clear or hashed as cryptmethod says.",
        "cryptmethod": "How the password is hashed: md5, sha256, sha512; empty is clear text.",
        "authdomain": "Authentication domain, where the component has such.",
    },
)
