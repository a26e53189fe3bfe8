"""Telling that two nodes were told the same: their sentences without names and addresses of their own."""

import re
from ipaddress import ip_address

#: What may be an IP address, with or without a port.
CANDIDATE = re.compile(r"[0-9A-Fa-f:.]*[:.][0-9A-Fa-f:.]*[0-9A-Fa-f]")


def general(text: str, node: str) -> str:
    """The text without what is the node's own: its name becomes NODE, IP addresses become ADDRESS."""
    unnamed = re.sub(rf"(?<!\w){re.escape(node)}(?!\w)", "NODE", text)
    return CANDIDATE.sub(lambda found: "ADDRESS" if _address(found[0]) else found[0], unnamed)


def _address(word: str) -> bool:
    for text in (word, word.rpartition(":")[0]):
        try:
            ip_address(text)
        except ValueError:
            continue
        return True
    return False
