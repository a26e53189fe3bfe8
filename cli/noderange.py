"""Noderanges on the command line: expanded on the database, refused whole when anything in them is wrong."""

from pathlib import Path

from cli.context import Context
from core.errors import NoderangeError
from core.noderange import expand, missed_message
from db.engine import Connection
from db.nodes import DatabaseNodes


def node_list(connection: Connection, text: str, ctx: Context) -> list[str]:
    """The nodes of a noderange, sorted. Raises NoderangeError for unknown names and for an empty answer."""

    def read_file(name: str) -> str:
        path = Path(name)
        return ctx.read_text(path if path.is_absolute() else ctx.cwd / path)

    found = expand(text, DatabaseNodes(connection), read_file)
    if found.missed:
        raise NoderangeError(missed_message(found.missed))
    if not found.nodes:
        raise NoderangeError(f"the noderange '{text}' names no node")
    return found.nodes
