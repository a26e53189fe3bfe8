"""The declared rights of service nodes: every table is decided on, and none that holds passwords is given."""

import re

import pytest

from db import imagetables, jobtables, servicetables, steptables, wantedtables
from db.base import metadata
from db.grants import OWN, OWN_ROWS, SECRET_TABLES
from db.tables import TABLES

#: Serval's own tables that a service node has no business with.
NOTHING: frozenset[str] = frozenset()
DECLARED = (imagetables, jobtables, servicetables, steptables, wantedtables)


def test_every_table_of_our_own_is_decided_on() -> None:
    """A new one belongs into OWN, or is named above."""
    own = metadata.tables.keys() - TABLES.keys()
    assert own - NOTHING == OWN.keys() - {"alembic_version"}


def test_what_holds_passwords_is_closed() -> None:
    assert {"ipmi", "openbmc", "passwd", "switches", "pdu"} <= SECRET_TABLES <= TABLES.keys()
    named = {name for name in TABLES for column in TABLES[name].columns if "password" in column.name}
    assert named <= SECRET_TABLES


@pytest.mark.parametrize("name", OWN)
def test_the_columns_exist(name: str) -> None:
    for right in OWN[name]:
        assert re.fullmatch(r"(SELECT|INSERT|UPDATE|DELETE)( \(([a-z]+, )*[a-z]+\))?", right)
        columns = re.findall(r"[a-z]+", right)
        assert set(columns) <= (set(metadata.tables[name].columns.keys()) if columns else set())
    if name in OWN_ROWS:
        assert OWN_ROWS[name] in metadata.tables[name].columns
