"""The other xCAT tables."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

#: Table → key columns, and all columns in order; `comments` and `disable` follow.
TABLES = {
    "auditlog": (
        "recid",
        "recid audittime userid clientname clienttype command noderange args status",
    ),
    "bootparams": (
        "node",
        "node kernel initrd kcmdline addkcmdline dhcpstatements adddhcpstatements",
    ),
    "boottarget": (
        "bprofile",
        "bprofile kernel initrd kcmdline",
    ),
    "chain": (
        "node",
        "node currstate currchain chain ondiscover",
    ),
    "deps": (
        "node cmd",
        "node nodedep msdelay cmd",
    ),
    "eventlog": (
        "recid",
        "recid eventtime eventtype monitor monnode node application component id severity message rawdata",
    ),
    "hosts": (
        "node",
        "node ip hostnames otherinterfaces",
    ),
    "hwinv": (
        "node",
        "node cputype cpucount memory disksize",
    ),
    "linuximage": (
        "imagename",
        "imagename template boottarget addkcmdline pkglist pkgdir otherpkglist otherpkgdir exlist "
        "postinstall rootimgdir kerneldir nodebootif otherifce netdrivers kernelver krpmver "
        "permission dump crashkernelsize partitionfile driverupdatesrc",
    ),
    "litefile": (
        "image file",
        "image file options",
    ),
    "litetree": (
        "priority",
        "priority image directory mntopts",
    ),
    "mac": (
        "node",
        "node interface mac",
    ),
    "monitoring": (
        "name",
        "name nodestatmon",
    ),
    "monsetting": (
        "name key",
        "name key value",
    ),
    "networks": (
        "net mask",
        "netname net mask mgtifname gateway dhcpserver tftpserver nameservers ntpservers logservers "
        "dynamicrange staticrange staticrangeincrement nodehostname ddnsdomain vlanid domain mtu",
    ),
    "nics": (
        "node",
        "node nicips nichostnamesuffixes nichostnameprefixes nictypes niccustomscripts nicnetworks "
        "nicaliases nicextraparams nicdevices nicsadapter",
    ),
    "nodepos": (
        "node",
        "node rack u chassis slot room height",
    ),
    "notification": (
        "filename",
        "filename tables tableops",
    ),
    "osimage": (
        "imagename",
        "imagename groups profile imagetype description provmethod rootfstype nfsrootopts "
        "osdistroname osupdatename cfmdir osname osvers osarch synclists postscripts "
        "postbootscripts serverrole isdeletable kitcomponents environvar",
    ),
    "pdu": (
        "node",
        "node nodetype pdutype outlet username password snmpversion community snmpuser authtype "
        "authkey privtype privkey seclevel",
    ),
    "pduoutlet": (
        "node",
        "node pdu",
    ),
    "policy": (
        "priority",
        "priority name host commands noderange parameters time rule",
    ),
    "prescripts": (
        "node",
        "node begin end",
    ),
    "prodkey": (
        "node product",
        "node product key",
    ),
    "rack": (
        "rackname",
        "rackname displayname num height room",
    ),
    "routes": (
        "routename",
        "routename net mask gateway ifname",
    ),
    "statelite": (
        "node",
        "node image statemnt mntopts",
    ),
    "switch": (
        "node switch port",
        "node switch port vlan interface",
    ),
    "switches": (
        "switch",
        "switch snmpversion username password privacy auth linkports sshusername sshpassword "
        "protocol switchtype",
    ),
    "vpd": (
        "node",
        "node serial mtm side asset uuid",
    ),
    "zone": (
        "zonename",
        "zonename sshkeydir sshbetweennodes defaultzone",
    ),
}


def upgrade() -> None:
    for name, (keys, columns) in TABLES.items():
        op.create_table(
            name,
            *(
                sa.Column(column, sa.Text(), nullable=column not in keys.split())
                for column in [*columns.split(), "comments", "disable"]
            ),
            sa.PrimaryKeyConstraint(*keys.split(), name=op.f(f"pk_{name}")),
        )


def downgrade() -> None:
    for name in TABLES:
        op.drop_table(name)
