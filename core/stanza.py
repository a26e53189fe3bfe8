"""xCAT's stanza files: what `lsdef -z` prints and `mkdef -z` and `chdef -z` read (xcatstanzafile(5)).

    # <xCAT data object stanza file>

    node01:
        objtype=node
        arch=x86_64

A stanza `default-node:` holds what later nodes have that do not say otherwise.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from core.errors import DefinitionError

HEADER = "# <xCAT data object stanza file>"
DEFAULT = "default-"


@dataclass(slots=True)
class Stanza:
    """One object; `objtype` is empty where the file does not say it."""

    name: str
    objtype: str = ""
    attributes: dict[str, str] = field(default_factory=dict)


def parse(text: str) -> list[Stanza]:
    """The objects in a stanza file, in its order. Raises DefinitionError with the number of the line."""
    stanzas: list[Stanza] = []
    begun: list[int] = []
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals and line.endswith(":"):
            stanzas.append(Stanza(line[:-1].strip()))
            begun.append(number)
        elif not equals or not stanzas:
            raise DefinitionError(f"Line {number} of the stanzas: expected 'name:' or 'attribute=value'.")
        elif name.strip() == "objtype":
            stanzas[-1].objtype = value.strip()
        else:
            stanzas[-1].attributes[name.strip()] = _unquoted(value.strip())
    _check_unique(stanzas, begun)
    return _with_defaults(stanzas)


def _check_unique(stanzas: Iterable[Stanza], begun: Iterable[int]) -> None:
    seen: dict[tuple[str, str], int] = {}
    for stanza, number in zip(stanzas, begun, strict=True):
        first = seen.setdefault((stanza.objtype or "node", stanza.name), number)
        if first != number:
            raise DefinitionError(
                f"Line {number} of the stanzas: '{stanza.name[:80]}' is defined in line {first} already."
            )


def _unquoted(value: str) -> str:
    for quote in "\"'":
        if len(value) > 1 and value[0] == quote == value[-1]:
            return value[1:-1]
    return value


def _quoted(value: str) -> str:
    """The value so that `_unquoted` of it, stripped, is the value again."""
    return value if _unquoted(value.strip()) == value else f'"{value}"'


def _with_defaults(stanzas: Iterable[Stanza]) -> list[Stanza]:
    defaults: dict[str, dict[str, str]] = {}
    found = []
    for stanza in stanzas:
        if stanza.name.startswith(DEFAULT):
            defaults[stanza.name.removeprefix(DEFAULT)] = stanza.attributes
        else:
            stanza.attributes = {**defaults.get(stanza.objtype or "node", {}), **stanza.attributes}
            found.append(stanza)
    return found


def lines(name: str, objtype: str, attributes: Mapping[str, str]) -> list[str]:
    """One object as a stanza, attributes sorted, and a blank line before it."""
    listed = [f"    {key}={_quoted(attributes[key])}" for key in sorted(attributes)]
    return ["", f"{name}:", f"    objtype={objtype}", *listed]
