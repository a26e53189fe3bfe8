"""makehosts and nodepurge: the host names of nodes in /etc/hosts (man pages makehosts(8), nodepurge(1)).

Serval writes between two marks of its own and leaves every other line alone. It runs as the caller.
"""

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from pathlib import Path

from cli.arguments import Parser, command
from cli.context import Context
from cli.nodech import existing, remove
from cli.objects import printable
from core import hostsfile
from core.errors import RequestError
from core.hostsfile import Line
from db.definitions import read_rows
from db.engine import Connection, one_writer, reading, writing
from db.home import open_home
from db.lookup import Unreadable, effective
from db.nodes import DatabaseNodes
from db.schema import open_database
from drivers.files import write_whole

HOSTS = "/etc/hosts"
WANTED = {
    "hosts": ["ip", "hostnames", "otherinterfaces"],
    "nics": ["nicips", "nichostnamesuffixes", "nichostnameprefixes", "nictypes", "nicaliases"],
}
YES = ("1", "yes", "enable")


@command
def makehosts(argv: list[str], ctx: Context) -> int:
    """Write the lines of nodes, or take them away; status 1 when a node has no address."""
    parser = Parser(ctx, "makehosts", description="Write the addresses and names of nodes into /etc/hosts.")
    parser.add_version()
    parser.add_argument(
        "-n", dest="new", action="store_true", help="a new file; the old one is kept as FILE.xcatbak"
    )
    parser.add_argument("-l", "--longnamefirst", action="store_true", help="the full name first")
    parser.add_argument("-d", dest="delete", action="store_true", help="take the nodes' lines away")
    parser.add_argument("-f", dest="file", metavar="FILE", help="in place of /etc/hosts")
    parser.add_argument("noderange", nargs="?", metavar="NODERANGE", help="all nodes when it is left out")
    options = parser.parse_args(argv)
    file = _file(ctx, options.file)
    with reading(open_database(ctx.env)) as connection:
        source = DatabaseNodes(connection)
        if options.noderange is None:
            nodes = sorted(source.nodes())
        else:
            nodes = existing(options.noderange, source, ctx)
        full_first = options.longnamefirst or source.site.get("FQDNfirst", "").lower() in YES
        unreadable: Unreadable = {}
        lines = [] if options.delete else _lines(connection, nodes, source.site, full_first, unreadable)
    text = _read(file)
    if options.new and text:
        write_whole(file.with_name(f"{file.name}.xcatbak"), text)
        text = ""
    write_whole(file, hostsfile.fresh(lines) if options.new else hostsfile.merge(text, lines, nodes))
    for sentence in _remarks(lines, hostsfile.foreign(text)):
        ctx.complain(f"Warning: {sentence}")
    for (node, _), why in unreadable.items():
        ctx.complain(f"Error: {printable(f'{node}: {why}')}")
    without = [] if options.delete else sorted(set(nodes) - {line.node for line in lines})
    if options.noderange is not None:
        for node in without:
            ctx.complain(f"Error: {node}: hosts.ip is not set; it gets no line. chdef {node} ip=… sets it.")
        return 1 if without else 0
    return 1 if unreadable else 0


def full_lines(
    connection: Connection, nodes: list[str], site: dict[str, str], unreadable: Unreadable
) -> list[Line]:
    """The lines of nodes as name servers want them: the full name first."""
    return _lines(connection, nodes, site, True, unreadable)


def _lines(
    connection: Connection, nodes: list[str], site: dict[str, str], full_first: bool, unreadable: Unreadable
) -> list[Line]:
    domains = _domains(connection)
    found: list[Line] = []
    for node, values in effective(connection, WANTED, nodes, unreadable).items():
        ip = values.get("hosts.ip", "")
        domain = _domain(ip, domains) or site.get("domain", "")
        found += hostsfile.node_lines(node, values, domain, full_first)
    return found


Networks = list[tuple[int, int, str]]


def _domains(connection: Connection) -> Networks:
    """Network address, mask and domain of the IPv4 networks that have one, the smallest first."""
    found = []
    for values in read_rows(connection, "network").values():
        if "domain" in values:
            try:
                network = ip_network(
                    f"{values.get('net', '')}/{values.get('mask', '').lstrip('/')}", strict=False
                )
            except ValueError:
                continue
            if network.version == 4:
                found.append((int(network.netmask), int(network.network_address), values["domain"]))
    return sorted(found, reverse=True)


def _domain(ip: str, domains: Networks) -> str:
    try:
        address = ip_address(ip)
    except ValueError:
        return ""
    if address.version != 4:
        return ""
    return next((domain for mask, net, domain in domains if int(address) & mask == net), "")


def _remarks(lines: Iterable[Line], foreign: dict[str, str]) -> list[str]:
    """Names that other lines of the file give another address."""
    return [
        f"{name} is {foreign[name]} on a line that Serval did not write, and {line.ip} for {line.node}: "
        "the line that comes first in the file counts."
        for line in lines
        for name in line.names
        if foreign.get(name, line.ip) != line.ip
    ]


def _file(ctx: Context, named: str | None) -> Path:
    """The file that was named, else that of this instance's root: a rehearsal leaves the host's alone."""
    if named is not None:
        return ctx.cwd / named
    file = open_home(ctx.env).host_path(HOSTS)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RequestError(f"{file.parent} cannot be made: {error.strerror}.") from error
    return file


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise RequestError(f"{file} cannot be read: {error.strerror}.") from error


@command
def nodepurge(argv: list[str], ctx: Context) -> int:
    """Remove nodes from all tables, and their lines from /etc/hosts."""
    parser = Parser(ctx, "nodepurge", description="Remove nodes from all tables and from /etc/hosts.")
    parser.add_version()
    parser.add_argument("-f", dest="file", metavar="FILE", help="in place of /etc/hosts")
    parser.add_argument("noderange", metavar="NODERANGE")
    options = parser.parse_args(argv)
    file = _file(ctx, options.file)
    with writing(open_database(ctx.env)) as connection:
        one_writer(connection)
        nodes = remove(options.noderange, DatabaseNodes(connection), ctx)
        before = _read(file)
        after = hostsfile.merge(before, [], nodes)
        if after != before and hostsfile.BEGIN in before:
            write_whole(file, after)
    return 0
