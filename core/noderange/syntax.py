"""The text side of noderanges: splitting at separators, and the names a range counts up."""

import re
from itertools import product
from math import prod

from core.errors import NoderangeError

LIMIT = 1_000_000  # names in one noderange
MAX_DEPTH = 32  # parentheses within parentheses
MAX_NAME = 255  # characters outside the brackets of one element
MAX_DIGITS = 18

OPENERS = re.compile(r"[(\[{\\]")
MARK = re.compile(r"\\.|[()\[\]{},@]", re.DOTALL)
NUMBER = re.compile(r"([0-9]+)")
BRACKET = re.compile(r"\[([^\[\]]*)\]")
LAST_NUMBER = re.compile(r"(.*?)([0-9]+)(\.[^+]*)?")


def shown(text: str) -> str:
    """A piece of somebody's input as it may stand in a message: short, and nothing a terminal obeys."""
    text = "".join(letter if letter.isprintable() else "?" for letter in text[:MAX_NAME])
    return text if len(text) < 80 else text[:77] + "..."


def split(text: str, separator: str) -> list[str]:
    """The parts between separators that stand outside of ( ), [ ] and { }; a backslash hides the next letter.

    NoderangeError: a parenthesis is left open, or they nest too deep.
    """
    if not OPENERS.search(text):
        return text.split(separator)
    parts: list[str] = []
    start = depth = 0
    in_brackets = False
    closers: list[str] = []
    for mark in MARK.finditer(text):
        letter = mark[0]
        if in_brackets:
            in_brackets = letter != "]"
        elif letter == "[":
            in_brackets = True
        elif letter in "({":
            closers.append(")" if letter == "(" else "}")
            depth = max(depth, len(closers))
        elif closers and letter == closers[-1]:
            closers.pop()
        elif letter == separator and not closers:
            parts.append(text[start : mark.start()])
            start = mark.end()
    if ")" in closers:
        raise NoderangeError(f"Unbalanced parentheses in noderange: {shown(text)}")
    if depth > MAX_DEPTH:
        raise NoderangeError(f"{shown(text)}: more than {MAX_DEPTH} parentheses within each other")
    return [*parts, text[start:]]


def count_up(text: str) -> list[str] | None:
    """The names of an element written as a range, None when it is not one: then it can only be a name.

    The result may hold ranges again (`n[1-2]+1` gives `n1+1` and `n2+1`), always simpler ones.
    NoderangeError: it would be more than LIMIT names.
    """
    if "[" in text:
        return _brackets(text)
    if "+" in text:
        return _offset(text)
    if ":" in text or "-" in text:
        return _from_to(text)
    return None


def check_size(size: int, text: str) -> None:
    """NoderangeError when a noderange names too many."""
    if size > LIMIT:
        raise NoderangeError(f"{shown(text)}: more names than the limit of {LIMIT:,} for one noderange")


def _brackets(text: str) -> list[str] | None:
    """`f[1-2]n[01,03-05]x`: every choice of every bracket with every other."""
    parts = BRACKET.split(text)
    fixed = "".join(parts[::2])
    if not parts[0] or len(fixed) > MAX_NAME or "[" in fixed or "]" in fixed:
        return None
    choices: list[list[str]] = []
    for index, part in enumerate(parts):
        choice = [part] if index % 2 == 0 else _bracket_list(part, text)
        if choice is None:
            return None
        choices.append(choice)
    check_size(prod(len(choice) for choice in choices), text)
    return ["".join(pieces) for pieces in product(*choices)]


def _bracket_list(inside: str, text: str) -> list[str] | None:
    """The choices in one pair of brackets: `01-03,05`, `01:03`; blanks mean nothing."""
    found: list[str] = []
    for part in "".join(inside.split()).split(","):
        ends = re.split("[-:]", part)
        run = [part] if len(ends) == 1 else _run(ends[0], ends[1], text) if len(ends) == 2 else None
        if run is None or not part or len(part) > MAX_NAME:
            return None
        found += run
        check_size(len(found), text)
    return found


def _offset(text: str) -> list[str] | None:
    """`node10+5`: node10 and the five after it; the last number of the name counts."""
    name, _, more = text.rpartition("+")
    counted = LAST_NUMBER.fullmatch(name) if len(name) <= MAX_NAME else None
    if counted is None or not NUMBER.fullmatch(more):
        return None
    head, number, tail = counted[1], counted[2], counted[3] or ""
    if max(len(number), len(more)) > MAX_DIGITS:
        check_size(LIMIT + 1, text)
    return _count(head, number, int(number) + int(more), tail, text)


def _from_to(text: str) -> list[str] | None:
    """`a:b`, or `a-b` split at its middle dash, because names have dashes too."""
    if len(text) > 2 * MAX_NAME:
        return None
    separator = ":" if ":" in text else "-"
    parts = text.split(separator)
    if len(parts) % 2 or (separator == ":" and len(parts) > 2):
        return None
    middle = len(parts) // 2
    left, right = (separator.join(half).strip() for half in (parts[:middle], parts[middle:]))
    return _run(left, right, text) if left and right else None


def _run(left: str, right: str, text: str) -> list[str] | None:
    """The names from left to right, in either order, when exactly one number differs between them."""
    ours, theirs = NUMBER.split(left), NUMBER.split(right)
    differing = [index for index, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b]
    if len(ours) != len(theirs) or len(differing) > 1:
        return None
    if not differing:
        return [left]
    at = differing[0]
    if at % 2 == 0:
        return None
    if max(len(ours[at]), len(theirs[at])) > MAX_DIGITS:
        check_size(LIMIT + 1, text)
    low, high = sorted((ours[at], theirs[at]), key=int)
    return _count("".join(ours[:at]), low, int(high), "".join(ours[at + 1 :]), text)


def _count(head: str, low: str, high: int, tail: str, text: str) -> list[str]:
    """`head` + number + `tail`, from low to high; leading zeros of low are kept."""
    width = len(low) if low.startswith("0") else 0
    check_size(high - int(low) + 1, text)
    return [f"{head}{number:0{width}}{tail}" for number in range(int(low), high + 1)]
