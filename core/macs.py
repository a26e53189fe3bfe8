"""The mac column of the mac table (xCAT mac(5)): a node's MAC addresses, and which name each is bound to.

`aa:bb:cc:dd:ee:ff`, or several: `mac1!name1|mac2!name2`. An entry without a name is the node's own; with
`*NOIP*` for a name it is an interface that gets no lease.
"""

import re
from dataclasses import dataclass

from core.errors import DefinitionError

#: Stands for a name: this interface gets no lease.
NO_IP = "*NOIP*"
USUAL = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
DIGITS = re.compile(r"[0-9a-f]{12}")
SEPARATORS = str.maketrans("", "", ":-.")


@dataclass(frozen=True, slots=True)
class Mac:
    """One address, written `aa:bb:cc:dd:ee:ff`, and its name; empty for NO_IP."""

    address: str
    name: str


def parse_macs(text: str, node: str) -> list[Mac]:
    """The addresses in a mac column, in its order. Raises DefinitionError for what is no MAC address."""
    if USUAL.fullmatch(text):
        return [Mac(text, node)]
    found = []
    for entry in text.split("|"):
        written, _, name = (part.strip() for part in entry.partition("!"))
        if written:
            found.append(Mac(normal(written, node), "" if name == NO_IP else name or node))
    return found


def normal(written: str, node: str) -> str:
    """`AA-BB-CC-DD-EE-FF` and its like as `aa:bb:cc:dd:ee:ff`. Raises DefinitionError."""
    digits = written.translate(SEPARATORS).lower()
    if not DIGITS.fullmatch(digits):
        raise DefinitionError(
            f"mac.mac of {node}: {written[:40]!r} is no MAC address: chdef {node} mac=ADDRESS sets it."
        )
    return ":".join(digits[place : place + 2] for place in range(0, 12, 2))
