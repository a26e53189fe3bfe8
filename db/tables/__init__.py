"""The xCAT tables, with the columns of xCAT 2.19 in xCAT's order (`tabdump` prints exactly these)."""

from db.tables.declare import DOCS, TABLES, is_of_nodes, key_names
from db.tables.hardware import ipmi, nodehm, openbmc
from db.tables.images import linuximage, osimage
from db.tables.logs import auditlog, eventlog
from db.tables.network import hosts, networks
from db.tables.nodes import nodegroup, nodelist, noderes, nodetype, postscripts, servicenode
from db.tables.site import SITE_KEYS, passwd, policy, site

__all__ = [
    "DOCS", "SITE_KEYS", "TABLES", "auditlog", "eventlog", "hosts", "ipmi", "is_of_nodes", "key_names",
    "linuximage", "networks", "nodegroup", "nodehm", "nodelist", "noderes", "nodetype", "openbmc", "osimage",
    "passwd", "policy", "postscripts", "servicenode", "site",
]  # fmt: skip
