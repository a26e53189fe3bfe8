"""How a table is declared: its name, what it is for, its columns in xCAT's order, each with its doc.

Every column is text and nothing is checked when it is stored: a dump of a live xCAT site restores, and a
regex value (`|node(\\d+)|10.0.0.($1)|`) fits into any column. `comments` and `disable` end every table. The
`doc` of a column is what `tabdump -d` prints.
"""

from collections.abc import Collection

from sqlalchemy import Column, Table, Text

from db.base import metadata

#: Every xCAT table by name.
TABLES: dict[str, Table] = {}
#: What each table is for, in one sentence.
DOCS: dict[str, str] = {}

NODE = "A node name or a group name; a group's row holds for all its nodes."
ENDING = {
    "comments": "Free text for people.",
    "disable": "Any value but 0 or no hides the row from every look-up; tabdump still shows it.",
}


def table(
    name: str, doc: str, keys: Collection[str], columns: dict[str, str], of_nodes: bool = False
) -> Table:
    """Declare one table: its columns in order, each with its doc; `keys` are those that name a row.

    `of_nodes`: the first key is a node name or a group name, whatever the column is called.
    """
    made = Table(
        name,
        metadata,
        *(
            Column(column, Text, primary_key=column in keys, nullable=column not in keys, doc=text)
            for column, text in {**columns, **ENDING}.items()
        ),
        info={"of_nodes": of_nodes},
    )
    TABLES[name] = made
    DOCS[name] = doc
    return made


def node_table(name: str, doc: str, *more_keys: str, **columns: str) -> Table:
    """Declare a table whose rows belong to a node or a group of nodes; with more keys, several rows each."""
    return table(name, doc, ("node", *more_keys), {"node": NODE, **columns}, of_nodes=True)


def key_names(of: Table) -> list[str]:
    """The key columns of a table, in order."""
    return [column.name for column in of.primary_key.columns]


def is_of_nodes(name: str) -> bool:
    """Whether there is a table of that name whose rows belong to nodes or groups."""
    return name in TABLES and bool(TABLES[name].info["of_nodes"])
