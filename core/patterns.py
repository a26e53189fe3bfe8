"""Patterns that users write in Perl's dialect, compiled for `re` and refused when they could run away.

Noderanges, criteria and regex values of tables all take patterns from people. `re` backtracks and cannot be
interrupted, so the worst case is bounded before a pattern is used: its length, what a repeated group may
hold, and the product of all choices that the text itself does not decide (`estimate`).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from core.errors import RequestError

MAX_LENGTH = 256
MAX_COUNT = 255
WIDE = 64  # what an open-ended repeat counts for: about the longest node name
FOR_NAMES = WIDE**3  # choices allowed where the text is a node's name
FOR_VALUES = WIDE**2  # and where it is a table value, which may be long

SAMPLE = [chr(code) for code in range(128)] + ["é"]
EVERY = frozenset(SAMPLE)

TOKEN = re.compile(
    r"(?P<class>\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\])"
    r"|(?P<escape>\\.)"
    r"|(?P<open>\((?:\?(?:[:=!>]|<[=!]|[aims]+:))?)"
    r"|(?P<close>\))"
    r"|(?P<bar>\|)"
    r"|(?P<repeat>(?:[*+?]|\{\d+(?:,\d*)?\})[?+]?)"
    r"|(?P<anchor>[\^$])"
    r"|(?P<plain>.)",
    re.DOTALL,
)
DOUBLED = re.compile(r"\\.|\[|&&|\|\||~~|--", re.DOTALL)
FLAGS = re.compile(r"\(\?[aims]+\)")
POSIX = {
    "[:alpha:]": "a-zA-Z",
    "[:digit:]": "0-9",
    "[:alnum:]": "a-zA-Z0-9",
    "[:upper:]": "A-Z",
    "[:lower:]": "a-z",
    "[:xdigit:]": "0-9a-fA-F",
    "[:space:]": r"\s",
    "[:punct:]": r"!-/:-@\[-`{-~",
}
ESCAPES = {r"\z": r"\Z", r"\Z": r"(?=\n?\Z)", r"\h": r"[ \t]"}
ANCHORS = (r"\A", r"\z", r"\Z", r"\b", r"\B")


@dataclass
class Piece:
    """One character of the pattern, or a group with its branches, and how often it may occur."""

    letters: frozenset[str] = frozenset()
    branches: list[list["Piece"]] = field(default_factory=list)
    least: int = 1
    most: int = 1

    @property
    def varies(self) -> bool:
        """Whether it may occur more or less often."""
        return self.least != self.most


@lru_cache(maxsize=1024)
def compile_pattern(text: str, choices: int = FOR_NAMES) -> re.Pattern[str]:
    """The pattern for `search` or `fullmatch`; RequestError says why one is not accepted."""
    if len(text) > MAX_LENGTH:
        raise RequestError(f"the pattern is longer than {MAX_LENGTH} characters")
    tokens = list(_tokens(text))
    try:
        compiled = re.compile("".join(token for _, token in tokens), re.ASCII)
    except (re.error, OverflowError) as error:
        raise RequestError(f"the pattern cannot be read: {error}") from error
    if max(map(estimate, _tree(tokens))) > choices:
        raise RequestError("the pattern leaves too much open: use fewer of * + ? and |")
    return compiled


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """The kind and, in Python's dialect, the text of each token."""
    flags = FLAGS.match(text)
    if flags:
        yield "flags", flags[0]
    for token in TOKEN.finditer(text, flags.end() if flags else 0):
        kind, part = token.lastgroup or "", token[0]
        if kind == "class":
            yield kind, _python_class(part)
        elif kind == "escape" and part in ANCHORS:
            yield "anchor", ESCAPES.get(part, part)
        elif kind == "escape" and part[1] in "123456789":
            raise RequestError(f"the pattern refers back to a group ({part})")
        elif kind == "open" and part == "(" and text.startswith("(?", token.start()):
            raise RequestError("the pattern has a (? … ) construct that is not supported")
        elif part == "[":
            raise RequestError("the pattern cannot be read: a [ is left open")
        elif part == "{":
            yield kind, r"\{"
        else:
            yield kind, ESCAPES.get(part, part)


def _python_class(text: str) -> str:
    """A character class in Python's dialect: POSIX names spelled out, no sign doubled."""
    for name, letters in POSIX.items():
        text = text.replace(name, letters)
    return "[" + DOUBLED.sub(
        lambda sign: sign[0] if sign[0][0] == "\\" else f"{sign[0][:-1]}\\{sign[0][-1]}", text[1:]
    )


def _tree(tokens: Sequence[tuple[str, str]]) -> list[list[Piece]]:
    """The branches of the whole pattern; the tokens are known to be balanced."""
    top = Piece(branches=[[]])
    stack = [top]
    for kind, text in tokens:
        branch = stack[-1].branches[-1]
        if kind == "open":
            # A look-around takes no letters, so what follows it still follows what stands before it.
            group = Piece(branches=[[]], least=0 if text[-1] in "=!" else 1)
            branch.append(group)
            stack.append(group)
        elif kind == "close":
            stack.pop()
        elif kind == "bar":
            stack[-1].branches.append([])
        elif kind == "repeat" and branch:
            _repeat(branch[-1], text)
        elif kind in ("plain", "escape", "class"):
            branch.append(Piece(letters=_letters(text)))
    return top.branches


def _repeat(piece: Piece, text: str) -> None:
    """Apply a quantifier, and refuse one that repeats a choice: `(a+)+`, `(a|b)*`, `(a?){9}`."""
    numbers = [int(number) for number in re.findall(r"\d{1,9}", text)]
    if text[0] == "{":
        piece.least = numbers[0]
        piece.most = numbers[-1] if len(numbers) == 2 or "," not in text else WIDE + numbers[0]
        if max(numbers) > MAX_COUNT:
            raise RequestError(f"the pattern repeats something more than {MAX_COUNT} times")
    else:
        piece.least = 1 if text[0] == "+" else 0
        piece.most = 1 if text[0] == "?" else WIDE
    if piece.branches and piece.most > 1:
        inner = [part for branch in piece.branches for part in branch]
        if len(piece.branches) > 1 or any(p.branches or p.varies for p in inner):
            raise RequestError("the pattern repeats a group that itself repeats, chooses or nests")


@lru_cache(maxsize=512)
def _letters(text: str) -> frozenset[str]:
    """The characters one element of a pattern can match, upper and lower case alike."""
    if not text.isascii():
        return EVERY
    one = re.compile(text, re.ASCII | re.IGNORECASE | re.DOTALL)
    return frozenset(letter for letter in SAMPLE if one.fullmatch(letter))


def estimate(pieces: Sequence[Piece], after: frozenset[str] = frozenset()) -> int:
    """How many ways there are through a branch that its text does not decide, at worst."""
    ways = 1
    follow = after
    for piece in reversed(pieces):
        first = _first(piece)
        if piece.branches:
            ways *= sum(estimate(branch, follow) for branch in piece.branches)
        if piece.varies and (piece.branches or first & follow):
            ways *= min(WIDE, piece.most - piece.least + 1)
        follow = first | follow if piece.least == 0 else first
    return ways


def _first(piece: Piece) -> frozenset[str]:
    """The characters a piece can begin with, everything when it can be empty inside."""
    if not piece.branches:
        return piece.letters
    found: frozenset[str] = frozenset()
    for branch in piece.branches:
        needed = next((i for i, part in enumerate(branch) if part.least > 0), None)
        if needed is None:
            return EVERY
        found = found.union(*(_first(part) for part in branch[: needed + 1]))
    return found
