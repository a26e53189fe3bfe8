"""What templates of installers' answers may ask for by name: cells of tables, hashes, variables.

Names of the environment are those of the process that runs nodeset on the management node, without what
belongs to Serval and what looks like a secret.
"""

import base64
import hashlib
import os
import re
from collections.abc import Collection, Mapping

from core.autoinst.values import Ready
from core.errors import DefinitionError
from db import tablecells
from db.engine import Connection
from drivers.images.pack import hashed

#: In the key of a table: the node that is rendered.
THIS = ("THISNODE", "$NODE")
_HIDDEN = re.compile(r"SERVAL_|.*(PASS|SECRET|TOKEN|KEY|CREDENTIAL)", re.IGNORECASE)


class Words:
    """Looks things up, each table's column once for all `nodes`."""

    def __init__(self, connection: Connection, site: Mapping[str, str], nodes: Collection[str]) -> None:
        self._connection, self._site, self._nodes = connection, site, nodes
        self._columns: dict[tuple[str, str], dict[str, str] | None] = {}
        self._hashes: dict[str, Ready] = {}

    def table(self, node: str, table: str, key: str, column: str, default: str | None = None) -> str:
        """A cell: `key` is a node, or COLUMN=VALUE,…. Raises DefinitionError when it is empty."""
        tablecells.check(table, column)
        return self._cell(node, table, key, column, default)

    def crypt(self, node: str, table: str, key: str, column: str, default: str | None = None) -> Ready:
        """The hash of a password of the table passwd, always the same for one password."""
        if (table, column) != ("passwd", "password"):
            raise DefinitionError(f"crypt is of passwd and its password, not of {table}.{column}")
        found = self._cell(node, table, key, column, default)
        if found == default:
            return Ready(found)
        if found not in self._hashes:
            # A salt need not be secret. Were it another one each time, each nodeset would change every file.
            source = f"{self._site.get('master', '')}|{self._site.get('domain', '')}|{key}"
            salt = base64.b64encode(hashlib.sha256(source.encode()).digest(), b"./")[:16].decode()
            self._hashes[found] = Ready(hashed(found, salt))
        return self._hashes[found]

    def env(self, variables: Mapping[str, str], name: str) -> str:
        """A variable of the image, or of the environment. Raises DefinitionError."""
        if name in variables:
            return variables[name]
        if _HIDDEN.match(name) or name not in os.environ:
            raise DefinitionError(f"the environment has no {name} that a template may have")
        return os.environ[name]

    def xcatvar(self, variables: Mapping[str, str], name: str) -> str:
        """A variable of xCAT. Raises DefinitionError."""
        if name not in variables:
            raise DefinitionError(f"XCATVAR {name} is not known; known are {', '.join(sorted(variables))}")
        return variables[name]

    def _cell(self, node: str, table: str, key: str, column: str, default: str | None) -> str:
        found = self._of_row(table, key, column) if "=" in key else self._of_node(node, table, key, column)
        if found:
            return found
        if default is None:
            raise DefinitionError(f"{table}.{column} of {node if key in THIS else key} is not set")
        return default

    def _of_row(self, table: str, key: str, column: str) -> str:
        pairs = [pair.partition("=") for pair in key.split(",")]
        return tablecells.of_row(self._connection, table, column, {name: value for name, _, value in pairs})

    def _of_node(self, node: str, table: str, key: str, column: str) -> str:
        name = node if key in THIS else key
        if name not in self._nodes:
            found = tablecells.of_nodes(self._connection, table, column, [name])
        else:
            if (table, column) not in self._columns:
                read = tablecells.of_nodes(self._connection, table, column, self._nodes)
                self._columns[table, column] = read
            found = self._columns[table, column]
        if found is None:
            raise DefinitionError(f"{table} is no table of nodes: write COLUMN=VALUE in place of {key}")
        return found.get(name, "")
