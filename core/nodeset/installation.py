"""What is said of a node that is to be installed to disk, for the answers of its installer."""

from dataclasses import dataclass

from core.nodeset.cmdline import Place
from core.nodeset.images import Image


@dataclass(frozen=True, slots=True)
class Installation:
    """The image, where the node gets things from, and the kernel arguments of the installed system."""

    image: Image
    place: Place
    arguments: str = ""
