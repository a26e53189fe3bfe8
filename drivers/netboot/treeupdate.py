"""One change of a boot tree: which files differ, and how they come to be what they should."""

from collections.abc import Mapping
from errno import EMLINK, ENOTSUP, EPERM, EXDEV

from drivers.netboot.folder import Folder
from drivers.netboot.treestate import DOUBTFUL, Files, TreeState

#: A file has too many names, or its disk knows no links or none to here: the text is written once more.
_NO_MORE_LINKS = frozenset({EMLINK, EPERM, ENOTSUP, EXDEV})


def refuse_taken(state: TreeState, changed: dict[str, Files]) -> dict[str, str]:
    """Take those nodes out of `changed` that want another node's file; node → sentence.

    It happens when two nodes have one MAC or IP address. Nodes that swap theirs in one change are fine.
    """
    problems: dict[str, str] = {}
    while True:
        owners = {path: node for node, files in state.nodes.items() if node not in changed for path in files}
        refused = {}
        for node in sorted(changed):
            taken = [path for path in changed[node] if path in owners]
            if taken:
                refused[node] = (
                    f"{taken[0]} is the boot file of {owners[taken[0]]}, which has this address, or had it "
                    f"when it was set: nodeset {owners[taken[0]]} too"
                )
            else:
                owners.update(dict.fromkeys(changed[node], node))
        if not refused:
            return problems
        problems |= refused
        for node in refused:
            del changed[node]


class TreeUpdate:
    """Makes the files of `changed` nodes what they should be, and notes that in the state."""

    def __init__(
        self, folder: Folder, state: TreeState, changed: Mapping[str, Files], texts: Mapping[str, bytes]
    ) -> None:
        self._folder = folder
        self._state = state
        self._changed = changed
        self._texts = texts
        self._claimed = {path for files in changed.values() for path in files}
        self._missing = {node: self._differing(node) for node in changed}
        #: Checksum → a file that has it and is not touched from here on.
        self._sources = {
            checksum: path
            for node, files in state.nodes.items()
            if node not in changed
            for path, checksum in files.items()
        }
        self._proved: set[str] = set()

    def doing(self) -> dict[str, list[str]]:
        """Node → files that will be made or replaced, for nodes of which anything will change."""
        return {node: missing for node, missing in self._missing.items() if missing or self._released(node)}

    def carry_out(self) -> dict[str, str]:
        """Make files, then remove those that no node has any longer; node → `FOLDER: REASON` of failures."""
        failed = {}
        for node, files in self._changed.items():
            path = ""
            try:
                for path in self._missing[node]:
                    self._place(path, files[path])
                for path in self._released(node):
                    self._folder.remove(path)
            except OSError as error:
                failed[node] = f"{path.rpartition('/')[0]}: {error.strerror}"
                self._state.nodes[node] = dict.fromkeys([*self._old(node), *files], DOUBTFUL)
                continue
            self._state.nodes[node] = files
            if not files:
                del self._state.nodes[node]
        return failed

    def _old(self, node: str) -> Files:
        return self._state.nodes.get(node, {})

    def _released(self, node: str) -> list[str]:
        return [path for path in self._old(node) if path not in self._claimed]

    def _differing(self, node: str) -> list[str]:
        """Files of a node that do not hold what they should; the disk is asked where the state is unsure."""
        old = self._old(node)
        return [path for path, checksum in self._changed[node].items() if checksum != self._there(old, path)]

    def _there(self, old: Files, path: str) -> str | None:
        return old.get(path) or self._folder.digest(path)

    def _place(self, path: str, checksum: str) -> None:
        source = self._source(checksum)
        try:
            if source is None:
                self._folder.write(path, self._texts[checksum])
            else:
                self._folder.link(path, source)
        except OSError as error:
            if source is None or error.errno not in _NO_MORE_LINKS:
                raise
            self._folder.write(path, self._texts[checksum])
        self._sources[checksum] = path
        self._proved.add(checksum)

    def _source(self, checksum: str) -> str | None:
        """A file to link to, looked at once; None when there is none that is what the state says."""
        source = self._sources.get(checksum)
        if source is None or checksum in self._proved:
            return source
        if self._folder.digest(source) != checksum:
            return None
        self._proved.add(checksum)
        return source
