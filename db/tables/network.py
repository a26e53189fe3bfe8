"""Tables about networks: subnets, routes, addresses and names, additional interfaces."""

from db.tables.declare import node_table, table

networks = table(
    "networks",
    "The networks of the cluster.",
    ["net", "mask"],
    {
        "netname": "Name of the network, by which lsdef -t network knows it.",
        "net": "Network address.",
        "mask": "Network mask.",
        "mgtifname": "Interface of the management or service node on it; !remote!NIC: behind a DHCP relay.",
        "gateway": "Gateway of the nodes; <xcatmaster> is their service node.",
        "dhcpserver": "The host that serves the dynamic range; needed with dynamicrange and service nodes.",
        "tftpserver": "TFTP server of the network; blank with pools of service nodes.",
        "nameservers": "Name servers of the network; <xcatmaster> or blank is the service node.",
        "ntpservers": "Time servers of the network.",
        "logservers": "Log servers of the network.",
        "dynamicrange": "Addresses for unknown hosts, first-last; several ranges are separated by ; or ,.",
        "staticrange": "Addresses that may be assigned to nodes, first-last.",
        "staticrangeincrement": "Step from one static address to the next.",
        "nodehostname": "Regex value that makes host names on this network from node names.",
        "ddnsdomain": "Domain for dynamic DNS, where it is not domain.",
        "vlanid": "VLAN of the network.",
        "domain": "DNS domain of the network; blank is site.domain.",
        "mtu": "MTU of the network's interfaces.",
    },
)

routes = table(
    "routes",
    "Routes that noderes.routenames and site.mnroutenames refer to.",
    ["routename"],
    {
        "routename": "The name of the route.",
        "net": "Network address.",
        "mask": "Network mask.",
        "gateway": "Gateway.",
        "ifname": "Interface that the route leads through.",
    },
)

hosts = node_table(
    "hosts",
    "Addresses and names for makehosts.",
    ip="Address of the node; blank is what its name resolves to.",
    hostnames="Other names of that address, separated by blanks or commas.",
    otherinterfaces="More addresses: -suffix:ip,name:ip; a suffix is put behind the node's name.",
)

nics = node_table(
    "nics",
    "Additional network interfaces of nodes; several are written eth0!value,eth1!value, several values a|b.",
    nicips="Addresses: eth0!10.0.0.1|10.1.0.1,ib0!10.2.0.1.",
    nichostnamesuffixes="What is put behind the node's name for each address: eth0!-eth0|-eth0-b.",
    nichostnameprefixes="What is put before the node's name for each address.",
    nictypes="Kind of each interface: ethernet, infiniband, bmc, bond, vlan, bridge.",
    niccustomscripts="Script that configures an interface in place of the usual one.",
    nicnetworks="Networks of the addresses, by networks.netname.",
    nicaliases="Other names of the addresses, separated by blanks.",
    nicextraparams="More parameters, NAME=value, in the interface's configuration.",
    nicdevices="Interfaces that a bond, VLAN or bridge is made of.",
    nicsadapter="What was found about the adapters.",
)
