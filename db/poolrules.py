"""What must not be set beside a pool of service nodes (hierarchy guide, 2.1.5.1)."""

from sqlalchemy import Connection

from core.fold import fold
from db.definitions import Definitions, read_group_rows, read_nodes
from db.lookup import split_list

#: They name one server, and with a pool it may be any of its members.
BLANK_WITH_POOL = ("xcatmaster", "tftpserver", "nfsserver")
POOL = "servicenode"


def pool_warnings(connection: Connection, asked: dict[str, Definitions]) -> list[str]:
    """A sentence for each attribute that stands in the way of a pool, on objects that were just written."""
    sentences = []
    for objtype in ("node", "group"):
        given = asked.get(objtype, {})
        touched = [name for name, values in given.items() if {POOL, *BLANK_WITH_POOL} & set(values)]
        if not touched:
            continue
        if objtype == "node":
            found = read_nodes(connection, touched, [POOL, *BLANK_WITH_POOL], {})
        else:
            found = read_group_rows(connection, touched)
        pooled = {name: one for name, one in found.items() if len(split_list(one.get(POOL))) > 1}
        for attribute in BLANK_WITH_POOL:
            named = fold(name for name, one in pooled.items() if one.get(attribute))
            if named:
                sentences.append(
                    f"Warning: {attribute} must be blank with a pool of service nodes, and has a value for "
                    f"{named}: chdef -t {objtype} -o {named} {attribute}="
                )
    return sentences
