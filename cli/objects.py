"""What the definition commands share: types, object names, attr=value words, and how values are shown."""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from cli.arguments import Parser
from cli.context import Context
from core.errors import DefinitionError, RequestError
from core.noderange import expand, names
from db.attributes import HIDDEN_VALUE, SECRET, TYPES, Place, attributes
from db.lookup import split_list
from db.nodes import DatabaseNodes
from db.tables import SITE_KEYS, TABLES

#: Groups: the first operator in a word; `=@`, `,=` and `^=` are nodech's.
OPERATOR = re.compile(r"[^=!~]*(==|=~|!=|!~)")


def criterion(word: str) -> bool:
    """Whether a word chooses (`nodehm.mgt==ipmi`) rather than sets or names."""
    return OPERATOR.match(word) is not None


def add_names(parser: Parser, verb: str) -> None:
    """The options every definition command has: -t, -o and -v."""
    parser.add_version()
    parser.add_argument(
        "-t", dest="types", metavar="TYPES", help=f"object type: {', '.join(TYPES)}; node is the default"
    )
    parser.add_argument("-o", dest="objects", metavar="NAMES", help=f"noderange or names of what to {verb}")


def describe_type(argv: list[str], parser: Parser, ctx: Context) -> bool:
    """Answer `-t TYPE -h` with the attributes of the type; whether that was asked."""
    if "-t" not in argv[:-1] or not {"-h", "--help"} & set(argv):
        return False
    objtype = one_type(argv[argv.index("-t") + 1])
    parser.print_help()
    ctx.say(f"\nThe valid attribute names for object type '{objtype}' are:\n")
    if objtype == "site":
        for key, doc in sorted(SITE_KEYS.items()):
            ctx.say(f"{key}  (site.value)  {doc}")
        ctx.say("any other name  (site.value)")
        return True
    for name, places in sorted(attributes(objtype).items()):
        where = " or ".join(_place_text(place) for place in places)
        ctx.say(f"{name}  ({where})  {TABLES[places[0].table].c[places[0].column].doc}")
    return True


def _place_text(place: Place) -> str:
    if place.only is None:
        return place.key
    column, *values = place.only
    return f"{place.key} with {column.partition('.')[2]}={'|'.join(values)}"


def one_type(text: str | None) -> str:
    """The object type that -t names. Raises DefinitionError for one there is not."""
    return check_type(text or "node")


def check_type(text: str) -> str:
    """The type itself. Raises DefinitionError for one there is not."""
    if text not in TYPES:
        raise DefinitionError(f"'{text}' is not a valid object type; there are {', '.join(TYPES)}.")
    return text


def split_words(words: Iterable[str], objects: str | None) -> tuple[str | None, dict[str, str]]:
    """Object names and attributes among the words of a command line; `objects` is what -o said."""
    given: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if objects is None and not given and (not equals or criterion(word)):
            objects = word
        elif not equals:
            raise RequestError(f"'{word}' is not of the form attribute=value.")
        else:
            given[name] = value
    return objects, given


def reader(ctx: Context) -> Callable[[str], str]:
    """How `^file` in a noderange is read: by the caller, from the caller's directory."""
    return lambda name: ctx.read_text(ctx.cwd / Path(name))


def existing_or_new(text: str, objtype: str, source: DatabaseNodes, ctx: Context) -> list[str]:
    """The objects a text names, for chdef: nodes of a noderange, and names that do not exist yet."""
    if objtype != "node":
        return split_list(text)
    found = expand(text, source, reader(ctx))
    new = [name for element in found.missed for name in names(element)]
    return sorted({*found.nodes, *new})


def new_names(text: str, objtype: str) -> list[str]:
    """The objects a text names, for mkdef: counted up, whatever exists."""
    return names(text) if objtype == "node" else split_list(text)


def shown(values: Mapping[str, str], secrets: bool) -> dict[str, str]:
    """Attributes as they may be printed: passwords hidden, nothing that a terminal obeys."""
    return {
        name: printable(HIDDEN_VALUE if name in SECRET and value and not secrets else value)
        for name, value in values.items()
    }


def printable(text: str) -> str:
    """The text with control characters written as escapes, so that a value cannot pose as output."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
