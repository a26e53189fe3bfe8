"""Where a node's Redfish service is and how its certificate is judged, from table values; pure.

`openbmc.bmc` is an address (`10.0.0.7`, `bmc7:8443`, `[fd00::7]`) or a URL: `https://bmc7`, plain
`http://bmc7:8000` only when it is written so, with the system behind it where a service has several
(`https://bmc7/redfish/v1/Systems/2`). A `#word` at the end says for this node what site.bmctls says for all.
"""

import re
from dataclasses import dataclass, field
from typing import NoReturn

from core.errors import DefinitionError, NoBmcAddress

HTTPS_PORT, HTTP_PORT = 443, 80
VERIFY, ACCEPT, PLAIN = "verify", "accept", "plain"
PIN = "sha256:"
_SYSTEM = re.compile(r"/redfish/v1/Systems/[A-Za-z0-9._~%-]+")
_HOST = re.compile(r"[A-Za-z0-9._:%-]+")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")


@dataclass(frozen=True, slots=True)
class Web:
    """What a Redfish service needs beside address, port and login."""

    #: The name or address as the tables have it: what the certificate must be for.
    host: str
    #: `verify`, `accept`, `sha256:` with 64 hexadecimal digits, `plain` for http; "" is the site's rule.
    tls: str = ""
    #: Certificates (PEM) that are trusted beside the system's, for `verify`.
    ca: str = field(default="", repr=False)
    #: Path of the system; "" finds the only one.
    system: str = ""


def parse_tls(word: str, where: str) -> str:
    """The certificate rule that a table value names, fingerprints in lower case without colons.

    Raises DefinitionError, naming `where` it stands.
    """
    text = word.strip()
    if text.lower() in (VERIFY, ACCEPT):
        return text.lower()
    digits = text[len(PIN) :].replace(":", "").lower()
    if text.lower().startswith(PIN) and re.fullmatch(r"[0-9a-f]{64}", digits):
        return PIN + digits
    raise DefinitionError(f"{where} is {text[:80]!r}; it must be verify, accept or sha256:FINGERPRINT")


def parse_web(text: str) -> tuple[int, Web]:
    """Port and service that `openbmc.bmc` names. Raises NoBmcAddress or DefinitionError."""
    address, sharp, word = text.strip().partition("#")
    scheme, separator, rest = address.rpartition("://")
    if separator and scheme.lower() not in ("https", "http"):
        _refuse(f"has the scheme {scheme[:20]!r}; it must be https or http")
    plain = scheme.lower() == "http"
    if plain and sharp:
        _refuse(f"asks for a certificate ({word[:20]!r}) over plain http")
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        _refuse("holds a login; set bmcusername and bmcpassword instead")
    system = (slash + path).rstrip("/")
    if system and not _SYSTEM.fullmatch(system):
        _refuse("has a path that is not /redfish/v1/Systems/ID")
    host, port = split_port(authority, HTTP_PORT if plain else HTTPS_PORT)
    if not _HOST.fullmatch(host):
        _refuse("holds no host name or address")
    tls = PLAIN if plain else parse_tls(word, "the word behind # in bmc") if sharp else ""
    return port, Web(host, tls, system=system)


def _refuse(why: str) -> NoReturn:
    # The value is not quoted: it may hold a login.
    raise NoBmcAddress(f"the BMC address {why}; try: bmc=https://ADDRESS")


def split_port(text: str, default: int) -> tuple[str, int]:
    """Host and port of `10.0.0.7`, `bmc7:6230` or `[fd00::7]:6230`; `default` where no port is written.

    Raises NoBmcAddress when host or port is none.
    """
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        host, port = text, str(default)
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise NoBmcAddress(f"the BMC address '{text}' has no valid port")
    if not host.strip("[]"):  # an empty name is this host itself
        raise NoBmcAddress(f"the BMC address '{text}' has no host")
    return host.strip("[]"), int(port)


def certificates(pem: str) -> str:
    """The certificates of a PEM text and nothing else of it, no private key above all."""
    return "\n".join(_CERTIFICATE.findall(pem))
