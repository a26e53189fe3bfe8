"""mkdef, chdef and rmdef: xCAT's definition commands (man pages mkdef(1), chdef(1), rmdef(1))."""

import argparse

from cli.arguments import Parser, command
from cli.context import Context
from cli.lsdef import lsdef
from cli.objects import (
    add_names,
    check_type,
    describe_type,
    existing_or_new,
    new_names,
    one_type,
    split_words,
)
from core import selection, stanza
from core.errors import RequestError
from core.noderange import expand
from core.templates import NODE_TEMPLATES, filled
from db.attributes import TYPES
from db.changes import NOT_FOUND, Mode, Result
from db.definitions import Definitions, names, own_attributes
from db.engine import Connection, one_writer, writing
from db.home import open_home
from db.nodes import DatabaseNodes
from db.plain import writer
from db.poolrules import pool_warnings
from db.schema import open_database
from routing.imagewishes import forget_undefined

__all__ = ["chdef", "lsdef", "mkdef", "rmdef"]

PARTLY = "Error: One or more errors occurred when attempting to create or modify xCAT object definitions."
#: Type to definitions.
Asked = dict[str, Definitions]


@command
def mkdef(argv: list[str], ctx: Context) -> int:
    """Make definitions. Status 1 when one was left out."""
    parser = _make_parser(ctx)
    if describe_type(argv, parser, ctx):
        return 0
    options = parser.parse_intermixed_args(argv)
    with writing(open_database(ctx.env)) as connection:
        one_writer(connection)
        source = DatabaseNodes(connection)
        asked = _asked(options, source, ctx, new=True)
        if options.template:
            asked = _from_template(options.template, asked, connection)
        results = [writer(source, objtype).create(given, options.force) for objtype, given in asked.items()]
        warnings = pool_warnings(connection, asked)
    status = _report(results, ctx, say_created=False)
    for sentence in warnings:
        ctx.complain(sentence)
    return status


@command
def chdef(argv: list[str], ctx: Context) -> int:
    """Change definitions, and make those that do not exist. Status 1 when one was left out."""
    parser = _change_parser(ctx)
    if describe_type(argv, parser, ctx):
        return 0
    options = parser.parse_intermixed_args(argv)
    if options.newname is not None:
        return _rename(options, ctx)
    mode = Mode.ADD if options.plus else Mode.REMOVE if options.minus else Mode.SET
    with writing(open_database(ctx.env)) as connection:
        one_writer(connection)
        source = DatabaseNodes(connection)
        asked = _asked(options, source, ctx, new=False)
        results = [writer(source, objtype).change(given, mode) for objtype, given in asked.items()]
        remarks = [*pool_warnings(connection, asked), *_group_hint(options, source)]
    status = _report(results, ctx, say_created=True)
    for sentence in remarks:
        ctx.complain(sentence)
    return status


@command
def rmdef(argv: list[str], ctx: Context) -> int:
    """Remove definitions. Status 1 when one does not exist."""
    options = _remove_parser(ctx).parse_intermixed_args(argv)
    text, extra = split_words(options.words, options.objects)
    if extra or (text is None) != options.all:
        raise RequestError("Name the objects to remove, or use -a -f to remove all of them.")
    if options.all and not options.force:
        raise RequestError("-a removes every object; it needs -f too.")
    types = [one_type(options.types)] if options.types or not options.all else ["group", "node"]
    if "site" in types:
        raise RequestError("The site cannot be removed; 'chdef -t site KEY=' removes one setting.")
    removed, missing = 0, []
    with writing(open_database(ctx.env)) as connection:
        one_writer(connection)
        source = DatabaseNodes(connection)
        for objtype in types:
            removing = writer(source, objtype)
            wanted = names(source, objtype) if text is None else existing_or_new(text, objtype, source, ctx)
            existing = removing.existing()
            there = [name for name in wanted if name in existing]
            missing += [NOT_FOUND.format(name, objtype) for name in wanted if name not in existing]
            removing.remove(there)
            removed += len(there)
        if "osimage" in types:
            forget_undefined(connection, open_home(ctx.env))
    for sentence in missing:
        ctx.complain(f"Error: {sentence}")
    ctx.say(
        f"{removed} object definitions have been removed."
        if removed
        else "No objects have been removed from the xCAT database."
    )
    return 1 if missing or not removed else 0


def _rename(options: argparse.Namespace, ctx: Context) -> int:
    objtype = one_type(options.types)
    old, extra = split_words(options.words, options.objects)
    if old is None or extra:
        raise RequestError("-n needs the present name of one object, and no attributes.")
    with writing(open_database(ctx.env)) as connection:
        one_writer(connection)
        writer(DatabaseNodes(connection), objtype).rename(old, options.newname)
    ctx.say(f"Changed the object name from {old} to {options.newname}.")
    return 0


def _asked(options: argparse.Namespace, source: DatabaseNodes, ctx: Context, new: bool) -> Asked:
    """What a command line, or the stanzas on standard input, ask for."""
    text, attributes = split_words(options.words, options.objects)
    if options.stanza:
        return _asked_in_stanzas(options, ctx, attributes)
    objtype = one_type(options.types)
    if objtype == "site":
        text = text or "clustersite"
    if text is None:
        raise RequestError("No object names were provided: use -o, or a noderange before the attributes.")
    if objtype == "group":
        attributes = _selected_members(options, source, attributes)
    elif options.dynamic or options.where:
        raise RequestError("-d and -w belong to '-t group'.")
    if not attributes and objtype != "group" and not (new and options.template):
        raise RequestError("No attributes were provided: give at least one attribute=value.")
    listed = new_names(text, objtype) if new else existing_or_new(text, objtype, source, ctx)
    if not listed:
        raise RequestError(f"No objects are named by '{text}'.")
    return {objtype: dict.fromkeys(listed, attributes)}


def _asked_in_stanzas(options: argparse.Namespace, ctx: Context, attributes: dict[str, str]) -> Asked:
    asked: Asked = {}
    for one in stanza.parse(ctx.stdin.read()):
        objtype = check_type(one.objtype or one_type(options.types))
        asked.setdefault(objtype, {})[one.name] = {**one.attributes, **attributes}
    if not asked:
        raise RequestError("The stanzas on standard input hold no object.")
    # Nodes come first: they may be members of a group in the same stanzas.
    return {objtype: asked[objtype] for objtype in TYPES if objtype in asked}


def _selected_members(
    options: argparse.Namespace, source: DatabaseNodes, attributes: dict[str, str]
) -> dict[str, str]:
    """With -w the members of a group: chosen now, or with -d at each use."""
    criteria = [selection.parse(text) for text in options.where]
    if options.dynamic:
        if not criteria:
            raise RequestError("-d needs -w: a dynamic group is what its selection says.")
        wherevals = "::".join(options.where)
        return {**attributes, "grouptype": "dynamic", "members": "dynamic", "wherevals": wherevals}
    if criteria:
        return {**attributes, "members": ",".join(source.select(criteria))}
    return attributes


def _report(results: list[Result], ctx: Context, say_created: bool) -> int:
    for result in results:
        for sentence in result.said:
            ctx.complain(sentence)
    changed = sum(len(result.changed) for result in results)
    created = [name for result in results for name in result.created]
    refused = any(result.refused for result in results)
    count = f"{changed} object definitions have been created or modified."
    if changed:
        ctx.say(count)
        if say_created and created:
            ctx.say(f"New object definitions '{','.join(created)}' have been created.")
    elif not say_created:
        ctx.complain(f"Error: {count}")
    if refused and say_created:
        ctx.complain(PARTLY)
    return 1 if refused or not changed else 0


def _from_template(name: str, asked: Asked, connection: Connection) -> Asked:
    """What is asked for with the attributes of a template, or of an object that exists, below it."""
    found: Asked = {}
    for objtype, given in asked.items():
        template = NODE_TEMPLATES.get(name) if objtype == "node" else None
        template = template or own_attributes(connection, objtype, name)
        if not template:
            raise RequestError(f"There is no template and no {objtype} named '{name[:80]}'.")
        found[objtype] = {one: filled(name, template, values) for one, values in given.items()}
    return found


def _group_hint(options: argparse.Namespace, source: DatabaseNodes) -> list[str]:
    """What to say when one row a node was written where one for the group may have been meant."""
    text, _ = split_words(options.words, options.objects)
    if options.stanza or one_type(options.types) != "node" or text is None:
        return []
    if text in source.nodes() or text not in source.group_names():
        return []
    count = len(expand(text, source).nodes)
    return [
        f"Note: this wrote a row for each of the {count} nodes of '{text}', which from now on hides the "
        f"group's own values; 'chdef -t group -o {text}' writes one row for the group."
    ]


def _words(parser: Parser) -> None:
    parser.add_argument("words", nargs="*", metavar="NODERANGE | ATTR=VALUE")
    parser.add_argument("-V", "--verbose", action="store_true", help="accepted for xCAT's sake")


def _values_parser(ctx: Context, prog: str, description: str) -> Parser:
    parser = Parser(ctx, prog, description=description)
    add_names(parser, "define")
    parser.add_argument("-z", "--stanza", action="store_true", help="read definitions from standard input")
    parser.add_argument("-d", "--dynamic", action="store_true", help="a dynamic group: see -w")
    parser.add_argument(
        "-w", dest="where", action="append", default=[], metavar="ATTR==VALUE",
        help="members of a group: nodes that match (==, !=, =~, !~); several must all hold",
    )  # fmt: skip
    _words(parser)
    return parser


def _make_parser(ctx: Context) -> Parser:
    parser = _values_parser(ctx, "mkdef", "Make definitions of nodes, groups or the site.")
    parser.add_argument("-f", "--force", action="store_true", help="replace definitions that exist")
    parser.add_argument("--template", metavar="NAME", help="begin with a template, or an object that exists")
    return parser


def _change_parser(ctx: Context) -> Parser:
    parser = _values_parser(ctx, "chdef", "Change definitions, and make those that do not exist.")
    parser.add_argument("-n", dest="newname", metavar="NAME", help="give the one object another name")
    lists = parser.add_mutually_exclusive_group()
    lists.add_argument("-p", "--plus", action="store_true", help="add the values to the lists that are there")
    lists.add_argument("-m", "--minus", action="store_true", help="remove the values from the lists")
    return parser


def _remove_parser(ctx: Context) -> Parser:
    parser = Parser(ctx, "rmdef", description="Remove definitions.")
    add_names(parser, "remove")
    parser.add_argument("-a", "--all", action="store_true", help="all objects (of the type in -t); needs -f")
    parser.add_argument("-f", "--force", action="store_true", help="really, with -a")
    _words(parser)
    return parser
