"""The answers of installers on this host: the keeper (core.wanted) of their documents, below site.installdir.

Beside them lie the programs that installers run: who tells the service node how far the installation is.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from core.autoinst.document import FOLDER, PROGRAMS, written
from core.errors import RequestError
from core.wanted import Change
from drivers.files import write_whole
from drivers.netboot.tree import BootTree

#: Readable by whoever asks over HTTP.
_MODE = 0o644


class AnswerFiles:
    """Keeps the documents of Kind.AUTOINST."""

    def __init__(self, installdir: Path, programs: Mapping[str, str], state: Path) -> None:
        """`programs` are names and texts; `state` is a folder of this keeper alone."""
        self._installdir, self._programs = installdir, programs
        self._tree = BootTree(installdir / FOLDER, state, written)

    def revision(self) -> int:
        """The revision of the files; 0 when nothing is known, and after each start of the machine."""
        return self._tree.revision()

    def behind(self, names: Collection[str]) -> Sequence[str]:
        """Nodes whose last document could not be put into effect, and those of `names` with other files."""
        return self._tree.behind(names)

    def apply(self, changes: Sequence[Change], revision: int) -> dict[str, str]:
        """Put the changes into effect; node → sentence of those that failed. Raises RequestError."""
        if any(change.document is not None for change in changes):
            self._put_programs()
        return self._tree.apply(changes, revision)

    def drift(self, documents: Mapping[str, str]) -> dict[str, str]:
        """Node → sentence for those whose files on the disk are not what their documents say."""
        return self._tree.drift(documents)

    def digest(self, nodes: Sequence[str]) -> dict[str, str]:
        """Node → checksum of its files as they are on the disk now; empty for a node that has none."""
        return self._tree.digest(nodes)

    def _put_programs(self) -> None:
        folder = self._installdir / PROGRAMS
        try:
            folder.mkdir(parents=True, exist_ok=True)
            there = {
                name: (folder / name).read_bytes() for name in self._programs if (folder / name).exists()
            }
        except OSError as error:
            raise RequestError(f"{folder} cannot be used: {error.strerror}") from error
        for name, text in self._programs.items():
            if there.get(name) != text.encode():
                write_whole(folder / name, text, _MODE)
