"""The boot files of this host: the keeper (core.wanted) of boot documents in tftpdir.

A file belongs to a node when its name stands for that node: its name, MAC or IP address. Everything else in
tftpdir is foreign and is left alone, in the same folders too. Files with one text share one inode: ten
thousand nodes with one profile are one file with many names.

Why renames and no generation folder behind a symlink: pxelinux.cfg and boot/grub2 hold foreign files that no
symlink may hide, and one changed node would have to link all others into the new generation.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from core.bootdoc import from_text
from core.errors import NodeError, RequestError, ServalError
from core.wanted import Change
from drivers.netboot.folder import Folder, digest
from drivers.netboot.loader import MARK
from drivers.netboot.loaders import LOADERS, render
from drivers.netboot.treestate import DOUBTFUL, Files, StateFile, TreeState
from drivers.netboot.treeupdate import TreeUpdate, refuse_taken

#: Node → sentence.
Problems = dict[str, str]
#: Node and document → {path below the folder: text}. Raises ServalError.
Render = Callable[[str, str], Mapping[str, str]]


def boot_files(node: str, document: str) -> Mapping[str, str]:
    """The boot files that a boot document asks for. Raises RequestError, NodeError."""
    doc = from_text(document)
    if doc.node != node:
        raise NodeError(f"its boot document is that of {doc.node}")
    return render(doc)


class BootTree:
    """Boot files below one tftpdir. Documents' own `tftpdir` is the caller's affair: one tree for each."""

    def __init__(self, tftpdir: Path, state: Path, render_one: Render = boot_files) -> None:
        """`state` is a folder of this tree alone, on a disk of this host."""
        self._tftpdir = tftpdir
        self._state = StateFile(state)
        self._render = render_one
        #: What `revision` read, for `behind`, which is asked next: ten thousand nodes are 10 ms of JSON.
        self._read: TreeState | None = None

    def revision(self) -> int:
        """The revision of the files; 0 when nothing is known, and after each start of the machine."""
        self._read = self._state.load()
        return self._read.revision

    def behind(self, names: Collection[str]) -> Sequence[str]:
        """Nodes whose last document could not be put into effect, and those of `names` with other files."""
        state, self._read = self._read or self._state.load(), None
        return sorted({*state.behind, *self._altered(state, names)})

    def apply(self, changes: Sequence[Change], revision: int) -> Problems:
        """Put the changes into effect, note `revision`; node → sentence of those that failed.

        A node that fails keeps the files that it had. Raises RequestError when nothing could be done, or when
        what was done could not be noted: then the same changes are to be applied again.
        """
        self._read = None
        with self._state.locked():
            state = self._state.load()
            touched, problems = self._settle(state, {change.name: change.document for change in changes})
            behind = sorted(set(state.behind) - {change.name for change in changes} | set(problems))
            if touched or (revision, behind) != (state.revision, state.behind):
                state.revision, state.behind = revision, behind
                self._state.save(state)
            return problems

    def verify(self, documents: Mapping[str, str], revision: int) -> Problems:
        """Make the tree what all documents together say, trusting no file; as `apply` otherwise.

        Nodes without a document lose their files, and so do nodes that Serval has forgotten.
        """
        self._read = None
        with self._state.locked():
            state = self._state.load()
            state.doubt_all()
            gone = dict.fromkeys(state.nodes.keys() - documents.keys())
            _, problems = self._settle(state, {**documents, **gone})
            self._remove_strays(state)
            state.revision, state.behind = revision, sorted(problems)
            self._state.save(state)
            return problems

    def drift(self, documents: Mapping[str, str]) -> dict[str, str]:
        """Node → sentence for those whose files on the disk are not what their documents say."""
        wanted, problems = _render_all(documents, {}, self._render)
        with closing(self._folder()) as folder:
            for node, files in wanted.items():
                there = folder.digests(files)
                if wrong := sorted(path for path, checksum in files.items() if there[path] != checksum):
                    problems[node] = f"{self._tftpdir}/{wrong[0]} is not what it should be"
        return problems

    def digest(self, nodes: Iterable[str]) -> dict[str, str]:
        """Node → checksum of its files as they are on the disk now; empty for a node that has none.

        Equal on two hosts when the node's files are equal there, name by name.
        """
        state = self._state.load()
        with closing(self._folder()) as folder:
            found = {node: folder.digests(sorted(state.nodes.get(node, ()))) for node in nodes}
        return {
            node: digest(repr(files).encode()) if any(files.values()) else "" for node, files in found.items()
        }

    def _altered(self, state: TreeState, nodes: Iterable[str]) -> list[str]:
        """Those of these nodes whose files are not what the state says: somebody else was there."""
        known = {node: files for node in nodes if (files := state.nodes.get(node))}
        if not known:
            return []
        with closing(self._folder()) as folder:
            return [node for node, files in known.items() if folder.digests(files) != files]

    def _folder(self) -> Folder:
        try:
            return Folder(self._tftpdir)
        except OSError as error:
            raise RequestError(f"{self._tftpdir} cannot be used for boot files: {error.strerror}") from error

    def _settle(self, state: TreeState, documents: Mapping[str, str | None]) -> tuple[bool, Problems]:
        """Change files and `state` until they fit the documents: whether the state changed, and problems."""
        texts: dict[str, bytes] = {}
        wanted, problems = _render_all(documents, texts, self._render)
        steady = [node for node, files in wanted.items() if _shares(files, state.nodes.get(node, {}))]
        for node in self._altered(state, steady):
            state.nodes[node] = dict.fromkeys(state.nodes[node], DOUBTFUL)
        changed = {node: files for node, files in wanted.items() if state.nodes.get(node, {}) != files}
        problems |= refuse_taken(state, changed)
        if not changed:
            return False, problems
        with closing(self._folder()) as folder:
            update = TreeUpdate(folder, state, changed, texts)
            if doing := update.doing():
                self._state.begin(doing)
            for node, told in update.carry_out().items():
                problems[node] = f"{self._tftpdir}/{told}; the boot file that it had stays"
        return True, problems

    def _remove_strays(self, state: TreeState) -> None:
        """Remove files with Serval's mark that no node owns: what a lost state leaves behind."""
        owned = {path for files in state.nodes.values() for path in files}
        mark = MARK.encode()
        with closing(self._folder()) as folder:
            for place in {place for loader in LOADERS.values() for place in loader.folders}:
                for path in folder.list(place):
                    if path not in owned and mark in (folder.read(path) or b""):
                        folder.remove(path)


def _shares(files: Files, old: Files) -> bool:
    """Whether any file is to stay as it is: only then it matters whether somebody else was there."""
    return not files.items().isdisjoint(old.items())


def _render_all(
    documents: Mapping[str, str | None], texts: dict[str, bytes], render_one: Render
) -> tuple[dict[str, Files], Problems]:
    """Node → {path: checksum}, and into `texts` checksum → text; node → sentence where that is impossible."""
    wanted: dict[str, Files] = {}
    problems: Problems = {}
    for node, document in documents.items():
        try:
            files = render_one(node, document) if document is not None else {}
            wanted[node] = _summed(files, texts)
        except ServalError as error:
            problems[node] = error.message
    return wanted, problems


def _summed(files: Mapping[str, str], texts: dict[str, bytes]) -> Files:
    sums = {}
    for text in set(files.values()):
        data = text.encode()
        sums[text] = digest(data)
        texts[sums[text]] = data
    return {path: sums[text] for path, text in files.items()}
