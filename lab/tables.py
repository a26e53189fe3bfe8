"""What the tables of the laboratory say: networks, an osimage, service nodes, and nodes with BMCs."""

from collections.abc import Iterable

from lab import ipmisim

MN, SNS = "mn1", ("sn1", "sn2")
MN_ADDRESS = "10.10.0.1"
PASSWORD = "laboratory"
OSIMAGE = "debian12-x86_64-netboot-lab"
IMAGE_FOLDER = "install/netboot/debian12/x86_64/lab"

CLUSTER = f"""\
clustersite:
    objtype=site
    master={MN_ADDRESS}
    domain=lab
    sharedtftp=0
mgt:
    objtype=network
    net=10.10.0.0
    mask=255.255.255.0
prov:
    objtype=network
    net=10.20.0.0
    mask=255.255.255.0
    gateway=<xcatmaster>
    tftpserver=<xcatmaster>
bmc:
    objtype=network
    net=10.30.0.0
    mask=255.255.255.0
{OSIMAGE}:
    objtype=osimage
    osvers=debian12
    osarch=x86_64
    profile=lab
    provmethod=netboot
    addkcmdline=quiet
    rootimgdir=/{IMAGE_FOLDER}
{MN}:
    objtype=node
    groups=all
    ip={MN_ADDRESS}
service:
    objtype=group
    servicenode={MN}
    setupdhcp=1
    setuptftp=1
    setupnfs=1
compute:
    objtype=group
    servicenode={",".join(SNS)}
    arch=x86_64
    serialport=0
    serialspeed=115200
    mgt=ipmi
    bmcusername={ipmisim.USER}
    bmcpassword={PASSWORD}
"""
SERVICE_NODE = """\
{name}:
    objtype=node
    groups=service,all
    ip=10.10.0.1{number}
    nicips.prov=10.20.0.1{number}
    nicnetworks.prov=prov
"""
NODE = """\
{name}:
    objtype=node
    groups=compute,all
    netboot={netboot}
    mgt=ipmi
    ip={ip}
    mac={mac}
    bmc={bmc}
"""


def definitions(netboot: str, addresses: Iterable[tuple[str, str]], bmcs: Iterable[tuple[str, str]]) -> str:
    """The cluster as stanzas for `chdef -z`; nodes with their addresses, and with their BMCs'."""
    sns = [SERVICE_NODE.format(name=sn, number=number) for number, sn in enumerate(SNS, start=1)]
    both = zip(addresses, bmcs, strict=True)
    nodes = [
        NODE.format(name=name, netboot=netboot, ip=ip, bmc=bmc, mac=mac_of(number))
        for number, ((name, ip), (_, bmc)) in enumerate(both, start=1)
    ]
    return "".join([CLUSTER, *sns, *nodes])


def mac_of(number: int) -> str:
    """The address of a node's network card."""
    return f"52:54:00:5e:00:{number:02x}"
