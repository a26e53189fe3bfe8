"""Where Debian's installer gets packages: a mirror that pkgdir of the image names, else copycds' folder."""

import re
from collections.abc import Mapping

from core.errors import DefinitionError

_URL = re.compile(r"(https?)://([A-Za-z0-9@_.:\[\]-]+)(/[A-Za-z0-9_./+~-]*)?")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def mirror_of(pkgdir: str, tree: str) -> Mapping[str, str | bool]:
    """protocol, host (with its port), directory, suite (empty: the installer's own), signed.

    `tree` is the URL of the folder that service nodes serve, which nobody has signed. Of pkgdir it is the
    first `URL SUITE COMPONENT…`. Raises DefinitionError for one that is no such thing.
    """
    named = next((part.split() for part in pkgdir.split(",") if "://" in part), None)
    url, suite = (named[0], named[1] if len(named) > 1 else "") if named else (tree, "")
    found = _URL.fullmatch(url)
    if not found or (suite and not _WORD.fullmatch(suite)):
        raise DefinitionError(
            f"pkgdir names {' '.join(named or [url])[:200]!r}; a mirror is URL SUITE COMPONENT…"
        )
    return {
        "protocol": found[1],
        "host": found[2],
        "directory": found[3] or "/",
        "suite": suite,
        "signed": named is not None,
    }
