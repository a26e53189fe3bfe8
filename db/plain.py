"""Objects that are rows and nothing more: osimages, networks, routes, policy rules and the like.

The attributes of one object may be spread over several tables (osimage, linuximage) that share its name.
"""

from collections.abc import Collection, Mapping
from typing import cast

from sqlalchemy import Connection, Table, select, update

from core.errors import DefinitionError
from db.attributes import PLAIN, attributes
from db.bulk import chunks
from db.changes import EXISTS_ALREADY, NOT_FOUND, Mode, Result, Writer, merge
from db.checks import check_name, check_values
from db.definitions import Definitions
from db.nodes import DatabaseNodes
from db.tables import TABLES, key_names
from db.upserts import delete_rows, insert_rows

Row = dict[str, str | None]


def writer(source: DatabaseNodes, objtype: str) -> Writer:
    """What writes definitions of a type."""
    return PlainWriter(source, objtype) if objtype in PLAIN else Writer(source, objtype)


class PlainWriter(Writer):
    """One command's writing of definitions that are rows."""

    def existing(self) -> set[str]:
        """The names of all objects of the type, disabled ones too."""
        table, name = self._main()
        return {found for found in self.connection.execute(select(table.c[name])).scalars() if found}

    def remove(self, names: Collection[str]) -> None:
        """Delete the rows of these objects in all their tables."""
        plain = PLAIN[self.objtype]
        for table in plain.tables:
            delete_rows(self.connection, TABLES[table], plain.name, names)

    def rename(self, old: str, new: str) -> None:
        """Give an object another name in all its tables. Raises DefinitionError when that name is taken."""
        check_name(self.objtype, new)
        existing = self.existing()
        if old not in existing:
            raise DefinitionError(NOT_FOUND.format(old, self.objtype))
        if new in existing:
            raise DefinitionError(EXISTS_ALREADY.format(old, new))
        plain = PLAIN[self.objtype]
        for name in plain.tables:
            table = TABLES[name]
            delete_rows(self.connection, table, plain.name, [new])
            renamed = update(table).where(table.c[plain.name] == old).values({plain.name: new})
            self.connection.execute(renamed)

    def _main(self) -> tuple[Table, str]:
        plain = PLAIN[self.objtype]
        return TABLES[plain.tables[0]], plain.name

    def _write(self, asked: Definitions, mode: Mode, existing: set[str], result: Result) -> Result:
        for name, given in asked.items():
            check_name(self.objtype, name)
            check_values(given)
        asked = self._known(asked, result)
        for table in PLAIN[self.objtype].tables:
            self._write_table(TABLES[table], asked, mode)
        result.changed = list(asked)
        result.created = [name for name in asked if name not in existing]
        return result

    def _write_table(self, table: Table, asked: Definitions, mode: Mode) -> None:
        """Write what one table holds of the objects; the main table has a row for each of them."""
        known, main = attributes(self.objtype), table is self._main()[0]
        by_name = {
            name: {
                place.column: value
                for attribute, value in given.items()
                for place in known[attribute]
                if place.table == table.name
            }
            for name, given in asked.items()
        }
        by_name = {name: given for name, given in by_name.items() if given or main}
        column = PLAIN[self.objtype].name
        there = rows_by_name(self.connection, table, column, by_name)
        rows = []
        for name, given in by_name.items():
            row: Row = there.get(name) or {**dict.fromkeys(table.c.keys()), column: name}
            rows.append({**row, **_changed(row, given, mode)})
        delete_rows(self.connection, table, column, by_name)
        insert_rows(self.connection, table, self._complete(table, rows))

    def _complete(self, table: Table, rows: list[Row]) -> list[Row]:
        """The rows with nothing unset among their keys, none of which another row has."""
        column, keys = PLAIN[self.objtype].name, key_names(table)
        if keys == [column]:
            return rows
        statement = select(table.c[column], *(table.c[key] for key in keys))
        taken = {tuple(found): name for name, *found in self.connection.execute(statement)}
        for row in rows:
            if not row[keys[0]]:
                raise DefinitionError(f"The {self.objtype} '{row[column]}' needs {' and '.join(keys)}.")
            row.update({key: row[key] or "" for key in keys})
            place = tuple(cast(str, row[key]) for key in keys)
            if place in taken:
                raise DefinitionError(
                    f"The {self.objtype} '{row[column]}' has the same {' and '.join(keys)} as "
                    f"'{taken[place] or 'a row without a name'}': {' '.join(place)}."
                )
            taken[place] = row[column] or ""
        return rows


def _changed(row: Row, given: Mapping[str, str], mode: Mode) -> Row:
    if mode is Mode.SET:
        return {column: value or None for column, value in given.items()}
    return {column: merge(row[column], value, mode) or None for column, value in given.items()}


def rows_by_name(connection: Connection, table: Table, column: str, names: Collection[str]) -> dict[str, Row]:
    """The row of each of these names, found in a column."""
    found: dict[str, Row] = {}
    for part in chunks([name] for name in names):
        statement = select(table).where(table.c[column].in_([name for (name,) in part]))
        found.update((row[column], dict(row)) for row in connection.execute(statement).mappings())
    return found
