"""What may stand as one value in a file of dnsmasq."""

import re

from core.errors import RequestError

#: Neither a line's end nor a comma, quote or comment.
VALUE = re.compile(r"[A-Za-z0-9_.:/@+${}\[\]-]+")


def value(text: str) -> str:
    """The text, which is one value of a configuration line. Raises RequestError when it is more."""
    if not VALUE.fullmatch(text):
        raise RequestError(f"{text[:80]!r} cannot stand in dnsmasq's configuration.")
    return text
