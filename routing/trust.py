"""Which certificates of Redfish services are trusted: site.bmctls and the file site.bmcca, read on the MN."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from core.bmcaccess import Access
from core.errors import DefinitionError
from core.webaccess import VERIFY, certificates, parse_tls

MOST_BYTES = 1 << 20


class Trust:
    """The site's rule; nothing is read before a node needs it."""

    def __init__(self, site: Mapping[str, str]) -> None:
        self._site = site

    def applied(self, access: Access) -> Access:
        """The access with the site's rule where the node has none, and the site's certificates.

        Raises DefinitionError when a setting that the node needs cannot be read.
        """
        web = access.web
        if web is None:
            return access
        if not web.tls:
            web = replace(web, tls=self._rule)
        if web.tls == VERIFY:
            web = replace(web, ca=self._authorities)
        return replace(access, web=web)

    @cached_property
    def _rule(self) -> str:
        return parse_tls(self._site.get("bmctls", "") or VERIFY, "site.bmctls")

    @cached_property
    def _authorities(self) -> str:
        name = self._site.get("bmcca", "").strip()
        if not name:
            return ""
        try:
            with Path(name).open("rb") as file:
                text = file.read(MOST_BYTES).decode("utf-8", "replace")
        except OSError as error:
            raise DefinitionError(f"site.bmcca: {name} cannot be read: {error.strerror}") from None
        found = certificates(text)
        if not found:
            raise DefinitionError(f"site.bmcca: {name} holds no certificate (PEM)")
        return found
