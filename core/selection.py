"""Criteria: `attr==val`, `attr!=val`, `attr=~pattern`, `attr!~pattern`.

One set of rules for noderanges (`nodetype.os=~rocky`), the wherevals of dynamic groups and `lsdef -w`.
"""

import re
from dataclasses import dataclass

from core.errors import DefinitionError, RequestError
from core.patterns import FOR_VALUES, compile_pattern

FORM = re.compile(r"([^=!~]+)(==|=~|!=|!~|=)(.*)", re.DOTALL)


@dataclass(frozen=True)
class Criterion:
    """What a value must be: `name` is an attribute or `table.column`, `operator` one of == != =~ !~."""

    name: str
    operator: str
    value: str


def parse(text: str) -> Criterion:
    """The criterion in a text; `=` means `==`, and the slashes around a pattern are optional.

    DefinitionError: it is no criterion, or its pattern is not accepted.
    """
    form = FORM.fullmatch(text.strip())
    if form is None:
        raise DefinitionError(
            f"{text[:80]!r} is no criterion: write attr==value, attr!=value, attr=~pattern or attr!~pattern"
        )
    name, operator, value = form.groups()
    if operator in ("=~", "!~"):
        value = value.removeprefix("/").removesuffix("/")
        try:
            compile_pattern(value, FOR_VALUES)
        except RequestError as error:
            raise DefinitionError(f"{text[:80]!r}: {error.message}") from error
    return Criterion(name.strip(), "==" if operator == "=" else operator, value)


def parse_all(wherevals: str) -> list[Criterion]:
    """The criteria of a dynamic group, which a member must all meet: `os==alma9::arch=~x86`."""
    return [parse(part) for part in wherevals.split("::") if part.strip()]


def matches(criterion: Criterion, value: str | None) -> bool:
    """Whether the value meets the criterion; no value counts as the empty one, so != and !~ match it."""
    value = value or ""
    match criterion.operator:
        case "==":
            return value == criterion.value
        case "!=":
            return value != criterion.value
        case "=~":
            return compile_pattern(criterion.value, FOR_VALUES).search(value) is not None
        case _:
            return compile_pattern(criterion.value, FOR_VALUES).search(value) is None
