"""What names and values of definitions may be, before anything is written."""

import re
from collections.abc import Mapping

from core.errors import DefinitionError
from db.attributes import HIDDEN_VALUE, PLAIN, SITE_OBJECT

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:+-]{0,127}")
#: A row's keys may be so long, each.
KEY_BYTES = 1_000
#: Of objects that no noderange names: files and the like too.
PLAIN_NAME = re.compile(r"[^\s,=:#\x00-\x1f\x7f][^\s,=\x00-\x1f\x7f]{0,254}")


def check_name(objtype: str, name: str) -> None:
    """Raise DefinitionError for a name that an object of this type cannot have."""
    if objtype == "site":
        if name != SITE_OBJECT:
            raise DefinitionError(f"The only object of type 'site' is '{SITE_OBJECT}', not {name[:80]!r}.")
    elif objtype in PLAIN:
        if not PLAIN_NAME.fullmatch(name) or name.endswith(":"):
            raise DefinitionError(f"{name[:80]!r} is no name for a {objtype}: no blanks, commas or =.")
    elif not NAME.fullmatch(name):
        raise DefinitionError(
            f"{name[:80]!r} is no name for a {objtype}: letters, digits and _ . : + - only, up to 128."
        )


def check_values(given: Mapping[str, str]) -> None:
    """Raise DefinitionError for a value that nothing may have."""
    for attribute, value in given.items():
        check_value(attribute, value)


def check_value(what: str, value: str) -> None:
    """Raise DefinitionError for a value that nothing may have."""
    if value == HIDDEN_VALUE:
        raise DefinitionError(
            f"'{HIDDEN_VALUE}' stands for a hidden value and cannot be stored in '{what[:80]}'; "
            "lsdef --show-secrets and tabdump show the real one."
        )
    check_text(what, value)


def check_key(what: str, value: str) -> None:
    """Raise DefinitionError for a value that cannot name a row: PostgreSQL's indexes end at 2,704 bytes."""
    check_text(what, value)
    if len(value.encode()) > KEY_BYTES:
        raise DefinitionError(f"{what[:80]!r}: {len(value.encode()):,} bytes are too long for a key.")


def check_text(what: str, value: str) -> None:
    """Raise DefinitionError for a text that a database cannot hold: a NUL, or bytes that are not UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise DefinitionError(f"{what[:80]!r}: the value is not UTF-8 text.") from None
    if "\0" in value:
        raise DefinitionError(f"{what[:80]!r}: the value holds a NUL.")
