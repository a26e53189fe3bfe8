"""Files that nodes boot, below site.installdir and tftpdir: whether they are here, how TFTP reaches them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from core.errors import RequestError
from core.nodeset.files import INSTALL, Files


def first_complete(candidates: Sequence[Files], folders: Mapping[str, Path]) -> Files | None:
    """The first candidate whose files are all there; `folders` are those that the first word stands for.

    A host that has no installdir at all cannot tell: then it is the first candidate, and what service nodes
    get is for those to say who bring images to them.
    """
    if candidates[0].kernel.startswith(f"{INSTALL}/") and not folders[INSTALL].is_dir():
        return candidates[0]
    return next((one for one in candidates if all(_there(path, folders) for path in one.paths())), None)


def _there(path: str, folders: Mapping[str, Path]) -> bool:
    word, _, rest = path.partition("/")
    return (folders[word] / rest).exists()


def link_install(tftpdir: Path, installdir: Path) -> None:
    """Let TFTP serve `install/…` too, for loaders that cannot do HTTP: a link, where nothing has that name.

    Raises RequestError when tftpdir cannot be written.
    """
    link = tftpdir / INSTALL
    if link.is_symlink() or link.exists():
        return
    try:
        link.symlink_to(installdir)
    except FileExistsError:
        return  # another process was faster
    except OSError as error:
        raise RequestError(f"{link} cannot be made a link to {installdir}: {error.strerror}") from error
