"""The boot files of a host whose nodes have more than one tftpdir (noderes.tftpdir): a boot tree for each.

The loaders that the nodes need are put beside their files.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, unquote

from core.bootdoc import BootDoc, Loader, from_text
from core.errors import RequestError
from core.wanted import Change
from drivers.netboot.firmware import put_loaders
from drivers.netboot.tree import BootTree


class BootTrees:
    """Keeps the documents of Kind.BOOT (core.wanted.Keeper), each in the tftpdir that it names."""

    def __init__(self, tftpdir: str, place: Callable[[str], Path], state: Path) -> None:
        """`tftpdir` is that of most nodes; `place` says where such a folder lies on this host."""
        self._place = place
        self._state = state
        found = [unquote(folder.name) for folder in state.iterdir()] if state.is_dir() else []
        self._trees = {name: self._tree(name) for name in dict.fromkeys([tftpdir, *sorted(found)])}

    def revision(self) -> int:
        """The revision that every tree has."""
        return min(tree.revision() for tree in self._trees.values())

    def behind(self, names: Collection[str]) -> Sequence[str]:
        """Nodes whose last document could not be put into effect, and those of `names` with other files."""
        return sorted({node for tree in self._trees.values() for node in tree.behind(names)})

    def apply(self, changes: Sequence[Change], revision: int) -> dict[str, str]:
        """Put the changes into effect; node → sentence of those that failed. Raises RequestError."""
        docs, problems = _read({c.name: c.document for c in changes if c.document is not None})
        problems |= self._put_loaders(docs)
        homes = {node: doc.tftpdir for node, doc in docs.items()}
        for name in dict.fromkeys(homes.values()):
            self._trees.setdefault(name, self._tree(name))
        for name, tree in self._trees.items():
            here = [c if homes.get(c.name) == name else Change(c.name, None) for c in changes]
            told = tree.apply([change for change in here if change.name not in problems], revision)
            problems |= told
        return problems

    def drift(self, documents: Mapping[str, str]) -> dict[str, str]:
        """Node → sentence for those whose files on the disk are not what their documents say."""
        docs, problems = _read(documents)
        for name in dict.fromkeys(doc.tftpdir for doc in docs.values()):
            mine = {node: documents[node] for node, doc in docs.items() if doc.tftpdir == name}
            problems |= self._trees.get(name, self._tree(name)).drift(mine)
        return problems

    def digest(self, nodes: Sequence[str]) -> dict[str, str]:
        """Node → checksum of its files as they are on the disk now; empty for a node that has none."""
        found: dict[str, str] = {}
        for tree in self._trees.values():
            found |= {node: checksum for node, checksum in tree.digest(nodes).items() if checksum}
        return {node: found.get(node, "") for node in nodes}

    def _put_loaders(self, docs: Mapping[str, BootDoc]) -> dict[str, str]:
        """Node → sentence for those whose loader cannot be had on this host."""
        needed: dict[tuple[str, Loader, str], list[str]] = {}
        for node, doc in docs.items():
            needed.setdefault((doc.tftpdir, doc.loader, doc.arch), []).append(node)
        problems: dict[str, str] = {}
        for (tftpdir, loader, arch), nodes in needed.items():
            missing = put_loaders(self._place(tftpdir), [(loader, arch)])
            if missing:
                problems |= dict.fromkeys(nodes, "; ".join(missing.values()))
        return problems

    def _tree(self, name: str) -> BootTree:
        return BootTree(self._place(name), self._state / quote(name, safe=""))


def _read(documents: Mapping[str, str]) -> tuple[dict[str, BootDoc], dict[str, str]]:
    """The documents, and node → sentence for those that cannot be read."""
    docs: dict[str, BootDoc] = {}
    problems: dict[str, str] = {}
    for node, document in documents.items():
        try:
            docs[node] = from_text(document)
        except RequestError as error:
            problems[node] = error.message
    return docs, problems
