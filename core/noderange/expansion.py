"""Noderanges against the cluster: sets of nodes from elements, groups, patterns, criteria and files."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from core import selection
from core.errors import DefinitionError, NoderangeError, RequestError
from core.noderange.syntax import check_size, count_up, shown, split
from core.nodesource import NodeSource
from core.patterns import compile_pattern

PREFIX = "node"  # what a bare number stands behind
MAX_TEXT = 16_000_000
MAX_MISSED_SHOWN = 20
SHORT_NAMES = {
    "groups": ("nodelist", "groups"),
    "tags": ("nodelist", "groups"),
    "mgt": ("nodehm", "mgt"),
}


@dataclass(frozen=True)
class Expansion:
    """The nodes of a noderange, sorted, and the elements that name nothing in the cluster, in their order."""

    nodes: list[str]
    missed: list[str]


def expand(text: str, source: NodeSource, read_file: Callable[[str], str] | None = None) -> Expansion:
    """The nodes a noderange names, less those of site.excludenodes.

    `read_file` answers the text of a `^file` (OSError or ValueError when it cannot); without it such
    an element is refused.
    NoderangeError: the noderange cannot be read or names too many.
    """
    cluster = _Cluster(source)
    nodes = _Walk(cluster.resolve, read_file).expand(text)
    excluded = source.excluded()
    if excluded:
        # A name that no longer exists there must not stop every command, so what it misses is dropped.
        nodes -= _Walk(_Cluster(source).resolve, None).expand(excluded)
    return Expansion(sorted(nodes), list(dict.fromkeys(cluster.missed)))


def names(text: str) -> list[str]:
    """The names a text counts up, sorted, without a look at any cluster: for nodes that do not exist yet.

    NoderangeError: it cannot be read, names too many, or has an element that selects instead of naming.
    """
    return sorted(_Walk(_NewNames().resolve, None).expand(text))


def missed_message(missed: Iterable[str]) -> str:
    """The refusal xCAT prints for elements that name nothing."""
    listed = list(missed)
    more = len(listed) - MAX_MISSED_SHOWN
    text = ",".join(shown(name) for name in listed[:MAX_MISSED_SHOWN])
    return f"Invalid nodes and/or groups in noderange: {text}" + (f" and {more} more" if more > 0 else "")


class _Walk:
    """Set arithmetic over the elements; what a single element means is asked of `resolve`."""

    def __init__(self, resolve: Callable[[str], set[str]], read_file: Callable[[str], str] | None) -> None:
        self._resolve = resolve
        self._read_file = read_file
        self._in_file = False

    def expand(self, text: str) -> set[str]:
        if len(text) > MAX_TEXT:
            raise NoderangeError(f"A noderange of {len(text):,} characters; the limit is {MAX_TEXT:,}")
        return self._elements(split(_unquoted(text), ","))

    def _elements(self, elements: Iterable[str]) -> set[str]:
        """Exclusions count at the end, wherever they stand."""
        included: set[str] = set()
        excluded: set[str] = set()
        for element in map(str.strip, elements):
            if element.startswith("-"):
                excluded |= self._intersection(element[1:], element)
            elif element.startswith("@"):
                included = self._narrow(included, split(element, "@")[1:], element)
            elif element:
                included |= self._intersection(element, element)
        return included - excluded

    def _intersection(self, text: str, element: str) -> set[str]:
        first, *others = split(text, "@")
        return self._narrow(self._operand(first, element), others, element)

    def _narrow(self, nodes: set[str], operands: Iterable[str], element: str) -> set[str]:
        for operand in map(str.strip, operands):
            if operand.startswith("-"):
                nodes = nodes - self._operand(operand[1:], element)
            else:
                nodes = nodes & self._operand(operand, element)
        return nodes

    def _operand(self, text: str, element: str) -> set[str]:
        text = text.strip()
        if not text:
            raise NoderangeError(f"{shown(element)}: nothing stands where a node or group should")
        if text.startswith("(") and text.endswith(")"):
            return self._elements(split(text[1:-1], ","))
        if text.startswith("^"):
            return self._file(text[1:])
        return self._resolve(text)

    def _file(self, name: str) -> set[str]:
        """The noderange written in a file, one or more elements a line, as if it stood in parentheses."""
        if self._read_file is None or self._in_file:
            where = "in a noderange file" if self._in_file else "here"
            raise NoderangeError(f"^{shown(name)}: a file cannot be named {where}; write its nodes instead")
        try:
            text = self._read_file(name)
        except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a NUL in the name
            reason = getattr(error, "strerror", None) or error
            raise NoderangeError(f"^{shown(name)}: the file cannot be read: {reason}") from error
        self._in_file = True
        try:
            return self._elements(part for line in _entries(text) for part in split(_unquoted(line), ","))
        finally:
            self._in_file = False


class _Cluster:
    """What elements mean in a cluster; `missed` collects those that mean nothing."""

    def __init__(self, source: NodeSource) -> None:
        self._source = source
        self._nodes = source.nodes()
        self._counted = 0
        self.missed: list[str] = []

    def resolve(self, text: str) -> set[str]:
        if text in self._nodes:
            return {text}
        members = self._source.group(text)
        if members is not None:
            return set(members)
        if text.startswith("/"):
            return self._by_pattern(text)
        if "=" in text or "~" in text:
            return self._by_criterion(text)
        return self._by_counting(text)

    def _by_pattern(self, text: str) -> set[str]:
        """Nodes whose whole name matches; groups are not looked at."""
        try:
            pattern = compile_pattern(text[1:])
        except RequestError as error:
            raise NoderangeError(f"{shown(text)}: {error.message}") from error
        return set(filter(pattern.fullmatch, self._nodes))

    def _by_criterion(self, text: str) -> set[str]:
        try:
            criterion = selection.parse(text)
        except DefinitionError as error:
            raise NoderangeError(error.message) from error
        table, _, column = criterion.name.partition(".")
        table, column = SHORT_NAMES.get(criterion.name, (table, column))
        values = self._source.values(table, column) if column else None
        if values is None:
            return self._miss(text)
        return {node for node in self._nodes if selection.matches(criterion, values.get(node))}

    def _by_counting(self, text: str) -> set[str]:
        if text.isascii() and text.isdecimal():
            return self.resolve(PREFIX + text)
        counted = count_up(text)
        if counted is None:
            return self._miss(text)
        self._counted += len(counted)
        check_size(self._counted, text)
        found: set[str] = set()
        for name in counted:
            if name in self._nodes:
                found.add(name)
            else:
                found |= self.resolve(name)
        return found

    def _miss(self, text: str) -> set[str]:
        self.missed.append(text)
        return set()


class _NewNames:
    """What elements mean where no cluster is asked: the names they count up, or themselves."""

    def __init__(self) -> None:
        self._counted = 0

    def resolve(self, text: str) -> set[str]:
        if text.startswith("/") or "=" in text or "~" in text:
            raise NoderangeError(f"{shown(text)} selects nodes that exist; new ones must be named")
        if text.isascii() and text.isdecimal():
            return {PREFIX + text}
        counted = count_up(text)
        if counted is None:
            return {text}
        self._counted += len(counted)
        check_size(self._counted, text)
        return {name for one in counted for name in self._again(one)}

    def _again(self, name: str) -> Iterable[str]:
        return self.resolve(name) if re.search(r"[-:+\[]", name) or name.isdecimal() else (name,)


def _unquoted(text: str) -> str:
    return text.replace("'", "").replace('"', "")


def _entries(text: str) -> Iterable[str]:
    """The noderange of each line of a file: cut at the first blank or colon, without # and ^ lines."""
    for line in map(str.strip, text.splitlines()):
        if line and line[0] not in "#^":
            yield re.split(r"[:\s]", line, maxsplit=1)[0]
