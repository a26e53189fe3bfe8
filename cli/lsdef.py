"""lsdef: definitions as lists, long forms, single attributes or stanzas (man page lsdef(1))."""

import argparse
from collections.abc import Iterable

from cli.arguments import Parser, command
from cli.context import Context
from cli.objects import add_names, check_type, describe_type, one_type, printable, reader, shown, split_words
from core import selection, stanza
from core.errors import RequestError
from core.noderange import expand
from core.templates import NODE_TEMPLATES
from db.attributes import LOGS, SITE_OBJECT, TYPES, attributes
from db.changes import NOT_FOUND, NOT_VALID
from db.definitions import Definitions, closed_attributes, names, read, read_rows, with_defaults
from db.engine import reading
from db.lookup import Unreadable, split_list
from db.nicattrs import WHOLE, chosen, expanded, whole
from db.nodes import DatabaseNodes
from db.schema import open_database

NONE_FOUND = "No object definitions have been found"


@command
def lsdef(argv: list[str], ctx: Context) -> int:
    """List definitions. Status 1 when a named one does not exist."""
    parser = _parser(ctx)
    if describe_type(argv, parser, ctx):
        return 0
    options = parser.parse_intermixed_args(argv)
    if options.template is not None:
        return list_templates(options, ctx)
    if options.attributes and (options.nics or options.osimage):
        raise RequestError("-i cannot be used together with --nics or --osimage.")
    if options.nics:
        options.attributes = ",".join(WHOLE)
    text, extra = split_words(options.words, options.objects)
    if extra:
        raise RequestError(f"lsdef sets nothing: '{next(iter(extra))}=' belongs to chdef.")
    if options.compress and not options.attributes:
        raise RequestError("-c needs -i.")
    types = (
        [one for one in TYPES if one not in LOGS]
        if options.all
        else [check_type(one) for one in split_list(options.types) or ["node"]]
    )
    status, printed = 0, 0
    with reading(open_database(ctx.env)) as connection:
        source = DatabaseNodes(connection)
        if options.stanza:
            ctx.say(stanza.HEADER)
        for objtype in types:
            wanted, missing = _wanted(objtype, text, options, source, ctx)
            for name in missing:
                ctx.complain("Error: " + NOT_FOUND.format(printable(name), objtype))
            status = 1 if missing else status
            printed += _print(objtype, wanted, text is not None, options, source, ctx)
    if not printed:
        ctx.say(NONE_FOUND)
        return 1 if text is not None else status
    return status


def _wanted(
    objtype: str, text: str | None, options: argparse.Namespace, source: DatabaseNodes, ctx: Context
) -> tuple[list[str], list[str]]:
    """The objects to list, and what was named but does not exist."""
    if objtype == "site":
        asked = split_list(text) or [SITE_OBJECT]
        return [one for one in asked if one == SITE_OBJECT], [one for one in asked if one != SITE_OBJECT]
    missing: list[str] = []
    if text is None:
        found = names(source, objtype)
        if objtype == "node" and not options.hidden:
            hidden = source.values("nodelist", "hidden") or {}
            found = [name for name in found if hidden.get(name) != "1"]
    elif objtype == "node":
        expansion = expand(text, source, reader(ctx))
        found, missing = expansion.nodes, expansion.missed
    else:
        known = set(names(source, objtype))
        asked = list(dict.fromkeys(split_list(text)))
        found, missing = [one for one in asked if one in known], [one for one in asked if one not in known]
    if options.where:
        chosen = _selected(objtype, options.where, found, source)
        found = [name for name in found if name in chosen]
    return found, missing


def _selected(objtype: str, where: Iterable[str], among: list[str], source: DatabaseNodes) -> set[str]:
    criteria = [selection.parse(text) for text in where]
    if objtype == "node":
        return set(source.select(criteria))
    found = read(source, objtype, among)
    return {
        name
        for name, values in found.items()
        if all(selection.matches(one, values.get(one.name)) for one in criteria)
    }


def _print(
    objtype: str,
    wanted: list[str],
    named: bool,
    options: argparse.Namespace,
    source: DatabaseNodes,
    ctx: Context,
) -> int:
    asked = split_list(options.attributes)
    if options.short or not (named or options.long or options.stanza or asked):
        for name in wanted:
            ctx.say(f"{printable(name)}  ({objtype})")
        return len(wanted)
    if asked and objtype != "site":
        unknown = [one for one in asked if whole(one) not in attributes(objtype)]
        if unknown:
            raise RequestError(NOT_VALID.format(unknown[0], objtype).removeprefix("Error: "))
    unreadable: Unreadable = {}
    closed = closed_attributes(source.connection) if objtype in ("node", "group") else {}
    found = read(source, objtype, wanted, unreadable, [whole(one) for one in asked], closed)
    if objtype == "node" and not options.stanza:
        with_defaults(source.connection, found)
    if objtype == "node" and options.osimage:
        _add_osimages(found, source)
    if objtype == "group" and not (options.long or options.stanza or asked):
        for values in found.values():
            values.pop("members", None)
    _print_long(objtype, found, asked, options, ctx)
    for (node, _), sentence in unreadable.items():
        ctx.complain(f"Warning: {printable(f'{node}: {sentence}')}")
    concerned = [whole(one) for one in asked] or list(closed)
    _say_closed({table for name in concerned for table in closed.get(name, ())}, ctx)
    return len(found)


def _say_closed(tables: Iterable[str], ctx: Context) -> None:
    """Name what a service node's role in the database does not let us see."""
    if closed := ", ".join(sorted(tables)):
        ctx.complain(
            f"Warning: this service node may not read {closed}; what is set there is not shown. "
            "The management node shows it."
        )


def _add_osimages(found: Definitions, source: DatabaseNodes) -> None:
    """Add to each node what its osimage says and the node does not."""
    images = read_rows(source.connection, "osimage")
    for node, values in found.items():
        found[node] = {**images.get(values.get("provmethod", ""), {}), **values}


def list_templates(options: argparse.Namespace, ctx: Context) -> int:
    """The templates of nodes: their names, or one of them, or with -a all in full."""
    if one_type(options.types) != "node":
        raise RequestError("There are templates of nodes only.")
    chosen = [options.template] if options.template else sorted(NODE_TEMPLATES)
    unknown = [name for name in chosen if name not in NODE_TEMPLATES]
    if unknown:
        raise RequestError(f"There is no template '{unknown[0][:80]}': {', '.join(sorted(NODE_TEMPLATES))}.")
    if not (options.template or options.all or options.long or options.stanza):
        for name in chosen:
            ctx.say(f"{name}  (node)")
        return 0
    if options.stanza:
        ctx.say(stanza.HEADER)
    options.secrets = True
    _print_long("node", {name: NODE_TEMPLATES[name] for name in chosen}, [], options, ctx)
    return 0


def _print_long(
    objtype: str, found: Definitions, asked: list[str], options: argparse.Namespace, ctx: Context
) -> None:
    lines: list[str] = []
    for name, values in found.items():
        name = printable(name)
        if objtype in ("node", "group"):
            values = expanded(values)
        if asked:
            values = chosen(asked, values)
        values = shown(values, options.secrets)
        if options.stanza:
            lines += stanza.lines(name, objtype, values)
        elif options.compress:
            lines += [f"{name}: {attribute}={values[attribute]}" for attribute in sorted(values)]
        else:
            lines.append(f"Object name: {name}")
            lines += [f"    {attribute}={values[attribute]}" for attribute in sorted(values)]
    if lines:
        ctx.say("\n".join(lines))


def _parser(ctx: Context) -> Parser:
    parser = Parser(ctx, "lsdef", description="List definitions; without names those of all nodes.")
    add_names(parser, "list")
    parser.add_argument("-a", "--all", action="store_true", help="objects of all types")
    parser.add_argument("-l", "--long", action="store_true", help="all attributes, and members of groups")
    parser.add_argument("-s", "--short", action="store_true", help="names only")
    parser.add_argument("-i", dest="attributes", metavar="ATTR,ATTR", help="only these attributes")
    parser.add_argument("-c", "--compress", action="store_true", help="with -i: one line an attribute")
    parser.add_argument("-z", "--stanza", action="store_true", help="as stanzas, to be read by mkdef -z")
    parser.add_argument(
        "-w", dest="where", action="append", default=[], metavar="ATTR==VALUE",
        help="only objects that match (==, !=, =~, !~); several must all hold",
    )  # fmt: skip
    parser.add_argument("--nics", action="store_true", help="only the attributes of the nics table")
    parser.add_argument("--osimage", action="store_true", help="with what the node's osimage says")
    parser.add_argument(
        "--template", nargs="?", const="", metavar="NAME", help="templates for mkdef in place of objects"
    )
    parser.add_argument("-S", dest="hidden", action="store_true", help="hidden nodes too")
    parser.add_argument("--show-secrets", dest="secrets", action="store_true", help="passwords in clear")
    parser.add_argument("-V", "--verbose", action="store_true", help="accepted for xCAT's sake")
    parser.add_argument("words", nargs="*", metavar="NODERANGE")
    return parser
