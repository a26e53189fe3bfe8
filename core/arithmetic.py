"""The arithmetic of regex values, as in `($1+5)` or `(ipadd(10,0,0,0,$1,1,1))`: whole numbers, never eval'd.

Meanings are those of Perl under `use integer`, which xCAT uses: division drops the fraction, a remainder has
the sign of its left side, a text counts as the number it starts with, a literal with a leading zero is octal.
There are + - * / %, comparisons, a ? b : c, 'text' and "text $1", and the functions of xcatdb(5).
"""

import operator
import re
from collections.abc import Callable, Sequence

from core.errors import RequestError

Value = int | str
Expression = Callable[[Sequence[str]], Value]

MAX_DEPTH = 32
VARIABLE = re.compile(r"\$(?:([0-9]{1,2})|\{([0-9]{1,2})\})")
TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]+)|(?P<variable>\$[0-9]{1,2}|\$\{[0-9]{1,2}\})|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<sign><=|>=|==|!=|[-+*/%<>?:(),]))",
    re.ASCII,
)
LONGEST_NUMBER = 18
LEADING_NUMBER = re.compile(rf"\s*([-+]?[0-9]{{1,{LONGEST_NUMBER}}})")
INTEGER_FORMAT = re.compile(r"[^%]*%0?[0-9]{0,2}d[^%]*")


def fill(groups: Sequence[str], text: str) -> str:
    """The text with $1 and ${1} replaced by the groups of the match; one that does not exist is empty."""
    return VARIABLE.sub(lambda found: _group(groups, int(found[1] or found[2])), text)


def parse_expression(text: str) -> Expression:
    """The calculation a text describes, as a function of the groups of a match (0 is the whole match).

    RequestError: it cannot be read; the function raises it too, for a division by zero.
    """
    return _Parser(text).whole()


def _group(groups: Sequence[str], index: int) -> str:
    return groups[index] if index < len(groups) else ""


def _number(value: Value) -> int:
    if isinstance(value, int):
        return value
    if len(value) <= LONGEST_NUMBER and value.isascii() and value.isdecimal():
        return int(value)  # what nearly all are, without a search
    found = LEADING_NUMBER.match(value)
    return int(found[1]) if found else 0


def _divide(left: int, right: int) -> int:
    if left >= 0 < right:
        return left // right
    if right == 0:
        raise RequestError("a division by zero")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _remainder(left: int, right: int) -> int:
    if left >= 0 < right:
        return left % right
    return left - right * _divide(left, right)


def _a2zidx(letter: Value) -> int:
    first = str(letter)[:1].lower()
    return (ord(first) if first else 0) - ord("a")


def _a2idx(letter: Value) -> int:
    return _a2zidx(letter) + 1


def _dim2idx(first: Value, *more: Value) -> int:
    """Position in a grid from 1: the outermost coordinate, then (size, coordinate) inwards."""
    index = _number(first) - 1
    for size, coordinate in zip(more[::2], more[1::2], strict=True):
        index = index * _number(size) + _number(coordinate) - 1
    return index + 1


def _skip(index: Value, gaps: Value) -> int:
    """The index less the gaps (`start[:count],…`, ascending) below it; -1 within a gap."""
    position = result = _number(index)
    for gap in str(gaps).split(","):
        start, _, count = gap.partition(":")
        first, length = _number(start), _number(count) if count else 1
        if position < first:
            break
        if position < first + length:
            return -1
        result -= length
    return result


def _ipadd(
    a: Value, b: Value, c: Value, d: Value, more: Value, skip_start: Value = 0, skip_end: Value = 0
) -> str:
    """An IPv4 address plus a number, when the last octet leaves out some values at its start and end."""
    low = _number(skip_start)
    room = 256 - low - _number(skip_end)
    steps = max(_number(d) - low, 0) + _number(more)
    third = _number(c) + _divide(steps, room)
    return f"{_number(a)}.{_number(b)}.{third}.{_remainder(steps, room) + low}"


def _mknum(text: Value) -> int:
    """A number from any text: the sum of its bytes."""
    return sum(str(text).encode())


def _sprintf(form: Value, value: Value) -> str:
    """One whole number in a text: `%03d`."""
    if not INTEGER_FORMAT.fullmatch(str(form)):
        raise RequestError(f"sprintf knows one %d, and {form!r} is something else")
    return str(form) % _number(value)


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "a2idx": _a2idx,
    "a2zidx": _a2zidx,
    "dim2idx": _dim2idx,
    "skip": _skip,
    "ipadd": _ipadd,
    "mknum": _mknum,
    "sprintf": _sprintf,
}
Operation = Callable[[int, int], Value]
LEVELS: tuple[dict[str, Operation], ...] = (
    {"==": operator.eq, "!=": operator.ne},
    {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge},
    {"+": operator.add, "-": operator.sub},
    {"*": operator.mul, "/": _divide, "%": _remainder},
)


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        self._at = self._depth = 0
        text = text.rstrip()
        position = 0
        while position < len(text):
            token = TOKEN.match(text, position)
            if token is None:
                raise RequestError(f"{text[position:].strip()[:20]!r} is no arithmetic")
            self._tokens.append((token.lastgroup or "", token[token.lastgroup or 0]))
            position = token.end()

    def whole(self) -> Expression:
        if not self._tokens:
            return lambda groups: ""
        expression = self._choice()
        if self._at < len(self._tokens):
            raise RequestError(f"{self._peek()!r} is not expected there")
        return expression

    def _peek(self) -> str:
        kind, text = self._tokens[self._at] if self._at < len(self._tokens) else ("", "")
        return text if kind in ("sign", "number", "variable", "name") else ""

    def _take(self, sign: str) -> bool:
        """Step over a sign if it comes next."""
        found = self._peek() == sign
        self._at += found
        return found

    def _need(self, sign: str) -> None:
        if not self._take(sign):
            raise RequestError(f"{sign!r} is missing")

    def _choice(self) -> Expression:
        """`condition ? one : other`, or just the condition."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise RequestError(f"more than {MAX_DEPTH} levels within each other")
        condition = self._binary(0)
        if self._take("?"):
            one = self._choice()
            self._need(":")
            other = self._choice()
            tested = condition
            condition = lambda groups: one(groups) if _number(tested(groups)) else other(groups)  # noqa: E731
        self._depth -= 1
        return condition

    def _binary(self, level: int) -> Expression:
        if level == len(LEVELS):
            return self._signed()
        left = self._binary(level + 1)
        while self._peek() in LEVELS[level]:
            operation = LEVELS[level][self._peek()]
            self._at += 1
            left = _combine(operation, left, self._binary(level + 1))
        return left

    def _signed(self) -> Expression:
        negative = signed = False
        while (sign := self._peek()) in ("-", "+") and sign:
            self._at += 1
            signed = True
            negative ^= sign == "-"
        operand = self._operand()
        if not signed:
            return operand
        return lambda groups: -_number(operand(groups)) if negative else _number(operand(groups))

    def _operand(self) -> Expression:
        if self._at == len(self._tokens):
            raise RequestError("the arithmetic ends too early")
        kind, text = self._tokens[self._at]
        self._at += 1
        if kind == "number":
            constant = _literal(text)
            return lambda groups: constant
        if kind == "variable":
            index = int(text.strip("${}"))
            return lambda groups: groups[index] if index < len(groups) else ""
        if kind == "text":
            return lambda groups: fill(groups, text[1:-1]) if text[0] == '"' else text[1:-1]
        if kind == "name":
            return self._call(text)
        if text != "(":
            raise RequestError(f"{text!r} is not expected there")
        inner = self._choice()
        self._need(")")
        return inner

    def _call(self, name: str) -> Expression:
        function = FUNCTIONS.get(name)
        if function is None:
            raise RequestError(f"{name!r} is no function; there are {', '.join(FUNCTIONS)}")
        self._need("(")
        arguments: list[Expression] = []
        while not self._take(")"):
            if arguments:
                self._need(",")
            arguments.append(self._choice())

        def call(groups: Sequence[str]) -> Value:
            try:
                return function(*(argument(groups) for argument in arguments))
            except (TypeError, ValueError) as error:
                raise RequestError(f"{name} does not take {len(arguments)} arguments like these") from error

        return call


def _combine(operation: Operation, left: Expression, right: Expression) -> Expression:
    # Calculated for each node of a cluster: a number is known by its type, without a call.
    def calculate(groups: Sequence[str]) -> Value:
        one, other = left(groups), right(groups)
        result = operation(
            one if type(one) is int else _number(one), other if type(other) is int else _number(other)
        )
        return int(result) if type(result) is bool else result

    return calculate


def _literal(text: str) -> int:
    if len(text) > LONGEST_NUMBER:
        raise RequestError(f"the number {text} is too large")
    try:
        return int(text, 8 if text.startswith("0") else 10)
    except ValueError as error:
        raise RequestError(f"{text} starts with 0, so it is octal, and it is no octal number") from error
