"""Taking over a whole xCAT site: the files of dumpxCATdb, of any version (xCAT's dumpxCATdb(1)).

Tables and columns that Serval does not have are not dropped: they are handed back to be kept aside.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, Table, delete, select

from core.errors import DefinitionError
from db.bulk import bulk_insert
from db.checks import NAME
from db.tabio import checked, line, read_csv, unique
from db.tables import SITE_KEYS, TABLES, key_names

Row = dict[str, str | None]


@dataclass(slots=True)
class Site:
    """What a dump holds, sorted into what Serval has a place for and what it has not."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    #: Table → CSV text of what has no place: a whole table, or keys and columns of a known one.
    aside: dict[str, str] = field(default_factory=dict)
    #: Sentences about what is kept aside, and what to look at.
    remarks: list[str] = field(default_factory=list)


def read(texts: Mapping[str, str]) -> Site:
    """The site in the texts of all tables. Raises DefinitionError, naming table and line."""
    site = Site()
    for name, text in sorted(texts.items()):
        lines = read_csv(name, text)
        if not lines or not lines[0][1][0].startswith("#"):
            raise DefinitionError(f"Table {name}: the first line is no header such as '#node,groups'.")
        if name in TABLES:
            _sort(site, TABLES[name], lines)
        elif len(lines) > 1:
            site.aside[name] = text
            site.remarks.append(f"Table {name} ({len(lines) - 1} rows) has no place in Serval.")
    _look(site)
    return site


def _sort(site: Site, table: Table, lines: list[tuple[int, list[str]]]) -> None:
    header = [column.strip().removeprefix("#") for column in lines[0][1]]
    known = [place for place, column in enumerate(header) if column in table.c]
    columns = [header[place] for place in known]
    if len(set(columns)) < len(columns) or key_names(table)[0] not in columns:
        raise DefinitionError(f"Table {table.name}: the header must name each column once, and the keys.")
    rows, strange = [], list[list[str]]()
    for number, values in lines[1:]:
        if len(values) != len(header):
            raise DefinitionError(
                f"Table {table.name}, line {number}: {len(values)} values for {len(header)} columns."
            )
        rows.append(checked(table, columns, [values[place] for place in known], number))
        if any(value for place, value in enumerate(values) if place not in known):
            strange.append(values)
    site.rows[table.name] = unique(table, rows)
    if strange:
        places = [header.index(key) for key in key_names(table) if key in header]
        places += [place for place in range(len(header)) if place not in known]
        listed = ["#" + ",".join(header[place] for place in places)]
        listed += [line([row[place] for place in places]) for row in strange]
        site.aside[table.name] = "\n".join(listed) + "\n"
        names = ", ".join(header[place] for place in range(len(header)) if place not in known)
        site.remarks.append(f"Table {table.name}: {names} ({len(strange)} rows) has no place in Serval.")


def _look(site: Site) -> None:
    """Say what an administrator should look at after the move."""
    bad = [str(row["node"]) for row in site.rows.get("nodelist", []) if not NAME.fullmatch(str(row["node"]))]
    if bad:
        site.remarks.append(f"Names that no noderange can name: {', '.join(map(repr, bad[:10]))}.")
    keys = sorted(str(row["key"]) for row in site.rows.get("site", []) if row["key"] not in SITE_KEYS)
    if keys:
        site.remarks.append(f"Settings of site that Serval keeps and does not read: {', '.join(keys)}.")


def filled(connection: Connection) -> list[str]:
    """The xCAT tables that have rows."""
    return [
        name
        for name, table in TABLES.items()
        if connection.execute(select(*table.primary_key).limit(1)).first() is not None
    ]


def store(connection: Connection, site: Site) -> None:
    """Put the site in place of all that the xCAT tables hold, in the caller's transaction.

    Raises DefinitionError when what is stored then is not what was read.
    """
    for table in TABLES.values():
        connection.execute(delete(table))
    for name, rows in site.rows.items():
        table = TABLES[name]
        bulk_insert(connection, table, rows)
        stored = {tuple(row) for row in connection.execute(select(table))}
        if stored != {tuple(row[column.name] for column in table.c) for row in rows}:
            raise DefinitionError(f"Table {name}: what the database holds is not what was read.")
