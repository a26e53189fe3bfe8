"""Tables about hardware: control, BMCs, consoles, switches, PDUs and what is built in."""

from db.tables.declare import node_table, table

SNMP_VERSION = "SNMP version: SNMPv1, SNMPv2c or SNMPv3."

nodehm = node_table(
    "nodehm",
    "How a node's hardware is controlled.",
    power="Hardware control used for power, where it is not mgt.",
    mgt="Hardware control of the node: ipmi, redfish, openbmc, hmc, blade, kvm.",
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
    "BMCs that speak Redfish: those of nodes with mgt redfish or openbmc.",
    bmc="Host name, address or https URL of the BMC; #verify, #accept or #sha256:… judge its certificate.",
    consport="SSH port of the console.",
    taggedvlan="VLAN tag of the BMC's port.",
    username="User on the BMC; when this or password is set, both are taken from here.",
    password="Password on the BMC.",
)

mac = node_table(
    "mac",
    "Network cards of nodes.",
    interface="Interface that the address belongs to.",
    mac="MAC address, or several: mac1!name1|mac2!name2; the name *NOIP* gets no lease.",
)

vpd = node_table(
    "vpd",
    "Identity of the hardware.",
    serial="Serial number.",
    mtm="Type and model.",
    side="Side of a power module; not used.",
    asset="Inventory number.",
    uuid="UUID of the system board.",
)

hwinv = node_table(
    "hwinv",
    "What a node is made of.",
    cputype="Processor.",
    cpucount="Number of processors.",
    memory="Memory, MB.",
    disksize="Sizes of the disks, GB.",
)

prodkey = node_table(
    "prodkey",
    "Product keys of software that needs one.",
    "product",
    product="The product; empty is the system itself.",
    key="The key.",
)

switch = node_table(
    "switch",
    "Which port of which switch a node is plugged into, used to discover nodes.",
    "switch",
    "port",
    switch="The switch.",
    port="Its port.",
    vlan="VLAN of the port.",
    interface="The node's interface on that cable.",
)

switches = table(
    "switches",
    "How switches are reached.",
    ["switch"],
    {
        "switch": "A switch, which is a node, or a group of them.",
        "snmpversion": SNMP_VERSION,
        "username": "SNMPv3 user; for version 1 and 2 the community.",
        "password": "SNMPv3 password; for version 1 and 2 the community.",
        "privacy": "SNMPv3 privacy protocol: DES, AES; empty is none.",
        "auth": "SNMPv3 authentication protocol: MD5, SHA.",
        "linkports": "Ports that lead to other switches: port:switch,port:switch.",
        "sshusername": "User to log in as.",
        "sshpassword": "Password to log in with.",
        "protocol": "Way to log in: ssh, telnet.",
        "switchtype": "Make of the switch: Mellanox, Cisco, BNT, Juniper, onie.",
    },
    of_nodes=True,
)

pdu = node_table(
    "pdu",
    "Power distribution units.",
    nodetype="pdu.",
    pdutype="Make of the unit: irpdu, crpdu.",
    outlet="Number of outlets.",
    username="User to log in as.",
    password="Password to log in with.",
    snmpversion=SNMP_VERSION,
    community="SNMP community of version 1 and 2.",
    snmpuser="SNMPv3 user.",
    authtype="SNMPv3 authentication protocol: MD5, SHA.",
    authkey="SNMPv3 authentication passphrase.",
    privtype="SNMPv3 privacy protocol: DES, AES.",
    privkey="SNMPv3 privacy passphrase.",
    seclevel="SNMPv3 security level: noAuthNoPriv, authNoPriv, authPriv.",
)

pduoutlet = node_table(
    "pduoutlet",
    "Which outlets feed a node.",
    pdu="Comma separated outlets, unit:number.",
)
