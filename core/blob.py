"""What is sealed for one attempt: the addresses and credentials of its BMCs. Never logged, never printed."""

import json
from collections.abc import Mapping

from core.bmcaccess import Access
from core.errors import RequestError


def write_blob(nodes: Mapping[str, tuple[str, Access]]) -> bytes:
    """node → (numeric address, access) as bytes; equal credentials stand there once."""
    logins: dict[tuple[str, str], int] = {}
    rows = {}
    for node, (address, access) in nodes.items():
        login = logins.setdefault((access.username, access.password), len(logins))
        rows[node] = [address, access.port, login]
    return json.dumps({"logins": [list(login) for login in logins], "nodes": rows}).encode()


def read_blob(plain: bytes) -> dict[str, tuple[str, int, str, str]]:
    """node → (address, port, user, password). Raises RequestError when the blob is damaged; it is not quoted."""
    try:
        told = json.loads(plain)
        logins = told["logins"]
        return {node: (row[0], row[1], *logins[row[2]]) for node, row in told["nodes"].items()}
    except (ValueError, KeyError, TypeError, IndexError):
        raise RequestError("the sealed credentials of the attempt cannot be read") from None
