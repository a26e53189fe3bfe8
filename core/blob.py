"""What is sealed for one attempt: the addresses and credentials of its BMCs. Never logged, never printed."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.bmcaccess import Access
from core.errors import RequestError
from core.webaccess import Web


def write_blob(nodes: Mapping[str, tuple[str, Access]]) -> bytes:
    """node → (numeric address, access) as bytes; equal credentials and certificates stand there once."""
    logins: dict[tuple[str, str], int] = {}
    trusted: dict[str, int] = {"": 0}
    rows: dict[str, list[Any]] = {}
    for node, (address, access) in nodes.items():
        login = logins.setdefault((access.username, access.password), len(logins))
        rows[node] = [address, access.port, login]
        if web := access.web:
            ca = trusted.setdefault(web.ca, len(trusted))
            rows[node] += [access.method, web.host, web.tls, ca, web.system]
    told = {"logins": [list(login) for login in logins], "trusted": list(trusted), "nodes": rows}
    return json.dumps(told).encode()


def read_blob(plain: bytes) -> dict[str, tuple[str, Access]]:
    """node → (numeric address, access); the address stands for a host that IPMI does not need.

    Raises RequestError when the blob is damaged; it is not quoted.
    """
    try:
        told = json.loads(plain)
        logins, trusted = told["logins"], told.get("trusted", [""])
        return {node: (row[0], _access(row, logins, trusted)) for node, row in told["nodes"].items()}
    except (ValueError, KeyError, TypeError, IndexError):
        raise RequestError("the sealed credentials of the attempt cannot be read") from None


def _access(row: list[Any], logins: list[list[str]], trusted: list[str]) -> Access:
    username, password = logins[row[2]]
    access = Access(row[0], row[1], username, password)
    if len(row) == 3:
        return access
    method, host, tls, ca, system = row[3:]
    return replace(access, host=host, method=method, web=Web(host, tls, trusted[ca], system))
