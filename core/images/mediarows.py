"""The osimages that copycds makes of a distribution, by xCAT's names (xCAT SvrUtils)."""

from collections.abc import Callable, Iterator

from core.images.media import Medium
from core.images.sources import Kind

#: The list or template of a kind: (kind, `install` or `netboot`, ending) → its path, or None.
Find = Callable[[Kind, str, str], str | None]

#: xCAT's four: how nodes get it, and the profile.
IMAGES = (("install", "compute"), ("install", "service"), ("netboot", "compute"), ("statelite", "compute"))
#: Attribute → the ending of its file.
INSTALLED = {"template": "tmpl", "pkglist": "pkglist", "otherpkglist": "otherpkgs.pkglist"}
DISKLESS = {
    "pkglist": "pkglist",
    "otherpkglist": "otherpkgs.pkglist",
    "exlist": "exlist",
    "postinstall": "postinstall",
}


def osimages(
    medium: Medium, pkgdir: str, installdir: str, find: Find
) -> Iterator[tuple[str, dict[str, str]]]:
    """Names and attributes of the osimages of a medium whose files are in `pkgdir`."""
    for method, profile in IMAGES:
        kind = Kind(medium.osvers, medium.osarch, profile)
        place = f"{kind.osvers}/{kind.osarch}"
        values = {
            "imagetype": "linux",
            "provmethod": method,
            "profile": profile,
            "osname": "Linux",
            "osvers": kind.osvers,
            "osarch": kind.osarch,
            "osdistroname": f"{kind.osvers}-{kind.osarch}",
            "pkgdir": pkgdir,
            "otherpkgdir": f"{installdir}/post/otherpkgs/{place}",
        }
        if method != "install":
            values["rootimgdir"] = f"{installdir}/netboot/{place}/{profile}"
        folder, files = ("install", INSTALLED) if method == "install" else ("netboot", DISKLESS)
        for attribute, ending in files.items():
            if path := find(kind, folder, ending):
                values[attribute] = path
        yield kind.image_name(method), values
