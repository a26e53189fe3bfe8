"""`serval console NODE`: a node's serial console over its BMC (ipmitool(1), sol activate).

It is what conserver runs for each console. It reads the BMC's address and password itself, so it works where
the ipmi and passwd tables may be read: on the management node.
"""

import os
import shutil

from cli.arguments import Parser, command
from cli.context import Context
from cli.noderange import node_list
from core.bmcaccess import IPMI
from core.errors import NodeError, RequestError, UnavailableError
from db.engine import reading
from db.schema import open_database
from routing.credentials import look_up


@command
def console(argv: list[str], ctx: Context) -> int:
    """Become ipmitool on the node's console; it ends with ~. and then the exit status is ipmitool's."""
    parser = Parser(ctx, "serval console", description="Open the serial console of a node; ~. ends it.")
    parser.add_argument("node")
    options = parser.parse_args(argv)
    with reading(open_database(ctx.env)) as connection:
        nodes = node_list(connection, options.node, ctx)
        accesses, failed = look_up(connection, nodes)
    if len(nodes) != 1:
        raise RequestError(f"{options.node} is {len(nodes)} nodes; a console is of one")
    if nodes[0] in failed:
        raise NodeError(f"{nodes[0]}: {failed[nodes[0]][1]}")
    access = accesses[nodes[0]]
    if access.method != IPMI:
        raise NodeError(f"{nodes[0]}: no console over {access.method}; nodehm.mgt must be ipmi")
    program = shutil.which("ipmitool")
    if program is None:
        raise UnavailableError("ipmitool is not installed; as root: apt-get install ipmitool")
    words = ["-I", "lanplus", "-H", access.host, "-p", str(access.port), "-U", access.username, "-E"]
    # The password is in the environment, which only this user can read, and not among the words.
    environment = {**os.environ, "IPMITOOL_PASSWORD": access.password}
    os.execve(program, [program, *words, "sol", "activate"], environment)
