"""Tables about what nodes are and what they are given: lists, groups, types, servers, scripts."""

from db.tables.declare import node_table, table

nodelist = table(
    "nodelist",
    "Every node with its groups and its state.",
    ["node"],
    {
        "node": "The node's host name.",
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
    of_nodes=True,
)

nodegroup = table(
    "nodegroup",
    "Groups that are dynamic, empty or have something to say about themselves.",
    ["groupname"],
    {
        "groupname": "The name of the group.",
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
    proxydhcp="yes: a service node with proxydhcp tells it its boot file, another server its address.",
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
    proxydhcp="Boot files for nodes whose addresses another DHCP server gives.",
)

postscripts = node_table(
    "postscripts",
    "Scripts that run on a node after installation or boot.",
    postscripts="Comma separated scripts run at the end of the installation.",
    postbootscripts="Comma separated scripts run after the first boot.",
)

prescripts = node_table(
    "prescripts",
    "Scripts that run on the management or service node around nodeset.",
    begin="Scripts before the change, action:script,script|action:script; without an action: at each.",
    end="Scripts after the change, in the same form.",
)

deps = node_table(
    "deps",
    "Which nodes must be on or off before the power of a node changes.",
    "cmd",
    nodedep="Comma separated nodes that this one depends on.",
    msdelay="Milliseconds to wait between the two.",
    cmd="Comma separated commands that this holds for: on, off, softoff, reset.",
)

chain = node_table(
    "chain",
    "What a node does at its next boot, and after that.",
    currstate="The state that the node boots into now, such as install, netboot, boot, shell.",
    currchain="What is left of the chain.",
    chain="Comma separated steps for a node that has just been discovered: runcmd=bmcsetup,osimage=name.",
    ondiscover="Not used; kept for dumps of older sites.",
)

bootparams = node_table(
    "bootparams",
    "Additions to what a node boots.",
    kernel="Kernel of the present state; nodeset knows it, so it is empty here.",
    initrd="Initial RAM disk of the present state; as above.",
    kcmdline="Kernel command line of the present state; as above.",
    addkcmdline="Words added to the kernel command line; R::word counts for the installed system only.",
    dhcpstatements="Not used; kept for dumps of older sites.",
    adddhcpstatements="Not used; kept for dumps of older sites.",
)

nodepos = node_table(
    "nodepos",
    "Where a node stands.",
    rack="Rack.",
    u="Lowest height unit in the rack that the node takes.",
    chassis="Chassis of a blade.",
    slot="Slot in the chassis.",
    room="Room.",
    height="Height in units.",
)

zone = table(
    "zone",
    "Zones of nodes that share ssh keys.",
    ["zonename"],
    {
        "zonename": "The name of the zone; nodelist.zonename refers to it.",
        "sshkeydir": "Directory of the zone's root key pair.",
        "sshbetweennodes": "yes: nodes of the zone log in to each other without a password.",
        "defaultzone": "yes for the zone of nodes that name none.",
    },
)

rack = table(
    "rack",
    "Racks.",
    ["rackname"],
    {
        "rackname": "The name of the rack.",
        "displayname": "Name for people.",
        "num": "Its number.",
        "height": "Height, units.",
        "room": "Room.",
    },
)
