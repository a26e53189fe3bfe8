"""Regex values: one stored text that gives every node its own value (xcatdb(5), on regular expressions).

    /pattern/replacement/    the part of the node name that matches is replaced
    |pattern|replacement|    the same, and each ( ) of the replacement is integer arithmetic
    |replacement|            $1, $2 … are the numbers in the node name, without leading zeros

$1 and ${1} stand for the groups of the pattern. As in xCAT a pattern that does not match gives the node name,
and a value that comes out empty means "not set". Nothing is ever evaluated as code.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from core.arithmetic import Expression, fill, parse_expression
from core.errors import DefinitionError, RequestError
from core.patterns import compile_pattern

MAX_VALUE = 1024
FORM = re.compile(r"/[^/]*/[^/]*/|\|.*\|")
NUMBERS = re.compile(r"[^1-9]*([0-9]+)")

Part = str | Expression  # a text as it is, or what is calculated of a match


@dataclass(frozen=True)
class _Rule:
    """A parsed value; without a pattern it is the short form."""

    pattern: re.Pattern[str] | None
    parts: tuple[Part, ...]


def is_regex(value: str) -> bool:
    """Whether a stored value is a rule rather than the value itself."""
    return FORM.fullmatch(value) is not None


def apply(value: str, node: str) -> str:
    """What a stored value means for a node; plain values are returned as they are.

    DefinitionError: the value has the shape of a rule but cannot be read or calculated; it is named.
    """
    if value[:1] not in ("/", "|"):
        return value
    rule = _parse(value)
    if rule is None:
        return value
    if rule.pattern is None:
        return _fill(rule, ["", *NUMBERS.findall(node)], value)
    match = rule.pattern.search(node)
    if match is None:
        return node
    groups = [match[0], *match.groups("")]
    return node[: match.start()] + _fill(rule, groups, value) + node[match.end() :]


def matches(value: str, node: str) -> bool:
    """Whether the pattern of a stored value is found in the node's name; a value without one holds for all.

    DefinitionError: the value has the shape of a rule but cannot be read.
    """
    rule = _parse(value)
    return rule is None or rule.pattern is None or rule.pattern.search(node) is not None


@lru_cache(maxsize=4096)
def _parse(value: str) -> _Rule | None:
    """The rule in a value, None when it is plain text."""
    if not is_regex(value):
        return None
    if len(value) > MAX_VALUE:
        raise DefinitionError(f"Regex value {value[:40]}…: longer than {MAX_VALUE} characters")
    try:
        if value[0] == "/":
            pattern, replacement = value[1:-1].split("/")
            return _Rule(compile_pattern(pattern), (_text(replacement),))
        pattern, bar, replacement = value[1:-1].partition("|")
        if not bar:
            return _Rule(None, tuple(_arithmetic(pattern)))
        return _Rule(compile_pattern(pattern), tuple(_arithmetic(replacement)))
    except RequestError as error:
        raise DefinitionError(f"Regex value {value}: {error.message}") from error


def _arithmetic(replacement: str) -> Iterator[Part]:
    """The texts and the outermost parentheses of a replacement, in turn."""
    start = depth = 0
    for mark in re.finditer(r"[()]", replacement):
        if mark[0] == "(":
            if depth == 0:
                yield _text(replacement[start : mark.start()])
                start = mark.end()
            depth += 1
        elif depth > 0:
            depth -= 1
            if depth == 0:
                yield parse_expression(replacement[start : mark.start()])
                start = mark.end()
    if depth:
        raise RequestError("unbalanced parentheses")
    yield _text(replacement[start:])


def _text(text: str) -> Part:
    """A text outside parentheses, in which only $1 … are filled in."""
    return partial(fill, text=text) if "$" in text else text


def _fill(rule: _Rule, groups: Sequence[str], value: str) -> str:
    """The replacement for one match."""
    try:
        return "".join([part if isinstance(part, str) else str(part(groups)) for part in rule.parts])
    except RequestError as error:
        raise DefinitionError(f"Regex value {value}: {error.message}") from error
