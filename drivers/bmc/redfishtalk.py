"""A conversation with one Redfish service: log in, find the system, read, change, log out (DMTF DSP0266).

Reads and the login are asked again while the BMC is busy or drops connections, until the deadline. What
changes the node goes through `change`, which sends it once. A session is made where the service offers
sessions, and closed at the end; else every request carries the login (HTTP basic).
"""

import asyncio
import logging
from base64 import b64encode
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from time import monotonic

from core.errors import BmcAuthError, BmcRefused, BmcSilent, ServalError
from drivers.bmc.contract import Target, Timing
from drivers.bmc.https import CUT, Answer, Client, NoAnswer
from drivers.bmc.redfishorder import Change, Document, choose_system, dig, path_of

log = logging.getLogger(__name__)

ROOT = "/redfish/v1/"
BUSY = frozenset({429, 502, 503, 504})
#: The front of the BMC passed the request on and cannot say what became of it.
DOUBTFUL = frozenset({502, 504})
#: Answers of a service that has no sessions after all.
_NO_SESSIONS = frozenset({404, 405, 501})
_BACKOFF_S = 0.3
_SEVERITY = {"critical": 0, "warning": 1, "ok": 2}


class Talk:
    """One target's conversation; `patience` surrounds every wait for the BMC."""

    def __init__(
        self,
        target: Target,
        client: Client,
        timing: Timing,
        patience: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.node = target.node
        self.system = target.web.system if target.web else ""
        self._login = target.username, target.password
        self._client, self._timing, self._patience = client, timing, patience
        self._headers: dict[str, str] = {}
        self._session: str | None = None
        #: Whether the BMC has answered anything yet.
        self.met = False
        self._root: Document = {}

    # -- reading -----------------------------------------------------------------------------------

    async def log_in(self) -> None:
        """Be somebody to the service."""
        answer = await self._ask("GET", ROOT)
        if answer.status == 401:
            # The root is open to everybody; not everywhere.
            self._log_in_basic()
            answer = await self._ask("GET", ROOT)
        self._root = _document(answer, ROOT)
        if self._headers:
            return
        sessions = path_of(dig(self._root, "Links", "Sessions", "@odata.id"))
        if sessions is None or not await self._log_in_session(sessions):
            self._log_in_basic()

    async def _log_in_session(self, path: str) -> bool:
        """Open a session; False where the service has none to give."""
        user, password = (part.decode("utf-8", "replace") for part in self._login)
        answer = await self._ask("POST", path, {"UserName": user, "Password": password})
        if answer.status in _NO_SESSIONS or "SessionLimitExceeded" in _message_ids(answer):
            return False
        refuse_login(answer)
        token = answer.headers.get("x-auth-token", "")
        own = dig(answer.document(), "@odata.id")
        self._session = path_of(own) or path_of(answer.headers.get("location"))
        if not token or not answer.good:
            # What the service says here may hold the login and is not quoted.
            raise BmcRefused(f"the Redfish service opened no session: HTTP {answer.status}")
        self._headers["X-Auth-Token"] = token
        return True

    def _log_in_basic(self) -> None:
        user, password = self._login
        if b":" in user:
            raise BmcAuthError("this Redfish service has no sessions, and HTTP carries no user with a colon")
        self._headers["Authorization"] = "Basic " + b64encode(user + b":" + password).decode()

    async def read_system(self) -> tuple[Document, str]:
        """The ComputerSystem and its ETag; the first time it is looked for."""
        if not self.system:
            systems = path_of(dig(self._root, "Systems", "@odata.id"))
            if systems is None:
                raise BmcRefused("the Redfish service has no systems")
            self.system = choose_system(dig(await self.read(systems), "Members"))
        answer = await self._ask("GET", self.system)
        document = _document(answer, self.system)
        etag = answer.headers.get("etag") or dig(document, "@odata.etag")
        return document, etag if isinstance(etag, str) else ""

    async def read(self, path: str) -> Document:
        """A resource."""
        return _document(await self._ask("GET", path), path)

    async def _ask(self, method: str, path: str, document: object = None) -> Answer:
        """Ask until there is an answer: a busy BMC or a broken connection has until the deadline."""
        until = monotonic() + self._timing.deadline_s
        with self._patience():
            while True:
                pause = _BACKOFF_S
                try:
                    async with asyncio.timeout(self._timing.deadline_s):
                        await self._client.ready()
                        answer = await self._client.send(method, path, self._headers, document)
                except NoAnswer:
                    if monotonic() + pause >= until:
                        raise
                else:
                    self.met = True
                    if answer.status not in BUSY and answer.fault != CUT:
                        return answer
                    pause = max(pause, _retry_after(answer))
                    if monotonic() + pause >= until:
                        return answer
                await asyncio.sleep(pause)

    # -- changing ----------------------------------------------------------------------------------

    async def change(self, change: Change, etag: str, last_look: Callable[[], bool]) -> Answer | None:
        """Send one request that changes the node, once; None when the last look said no.

        Raises BmcSilent or BmcRefused, or runs out of time, before `last_look`: nothing was sent. After it,
        any failure means that nobody knows.
        """
        headers = {**self._headers, "If-Match": etag} if etag else self._headers
        with self._patience():
            async with asyncio.timeout(self._timing.deadline_s):
                await self._client.ready()
            if not last_look():
                return None
            async with asyncio.timeout(self._timing.deadline_s):
                return await self._client.send(change.method, change.path, headers, change.document)

    async def log_out(self) -> None:
        """Close the session and the connection, and forget the login; what fails here harms nobody."""
        try:
            if self._session is not None:
                async with asyncio.timeout(self._timing.timeout_s):
                    await self._client.ready()
                    await self._client.send("DELETE", self._session, self._headers)
        except (ServalError, TimeoutError) as error:
            log.debug("closing the session of %s: %s", self.node, type(error).__name__)
        finally:
            self._client.close()
            self._headers.clear()
            self._login, self._session = (b"", b""), None


def complaint(answer: Answer) -> str:
    """Why the service said no, in one line: its most severe message, or the HTTP status."""
    text = f"HTTP {answer.status}"
    if 300 <= answer.status < 400:
        where = answer.headers.get("location", "elsewhere")
        return f"{text}: it redirects to {_line(where)}; name that address in openbmc.bmc"
    infos = sorted(_infos(answer), key=_rank)
    error = dig(answer.document(), "error", "message")
    for message in [dig(info, "Message") for info in infos] + [error]:
        if isinstance(message, str) and message.strip():
            return f"{text}: {_line(message)}"
    return text


def _document(answer: Answer, path: str) -> Document:
    """The object in a good answer. Raises BmcAuthError or BmcRefused."""
    _check(answer, f"GET {path[:80]}")
    if answer.fault == CUT:
        raise BmcSilent(CUT)
    document = answer.document()
    if answer.fault or document is None:
        reason = answer.fault or "it is no JSON object; is this a Redfish service?"
        raise BmcRefused(f"GET {path[:80]} was answered, but {reason}")
    return document


def _check(answer: Answer, what: str) -> None:
    """Raise BmcAuthError or BmcRefused for an answer that is no success."""
    if answer.good:
        return
    refuse_login(answer)
    busy = "Node busy, " if answer.status in BUSY else ""
    raise BmcRefused(f"{busy}{what} failed: {complaint(answer)}")


def refuse_login(answer: Answer) -> None:
    """Raise BmcAuthError for 401 and 403; the service's own words may hold the user and are not quoted."""
    if answer.status not in (401, 403):
        return
    if "PasswordChangeRequired" in _message_ids(answer):
        raise BmcAuthError("The BMC wants this user's password changed before anything else")
    if answer.status == 403:
        raise BmcAuthError("Insufficient privilege level of the BMC user (HTTP 403)")
    raise BmcAuthError(
        "Incorrect password provided; correct user and password in the openbmc or passwd table"
    )


def _infos(answer: Answer) -> list[object]:
    document = answer.document()
    found = dig(document, "error", "@Message.ExtendedInfo") or dig(document, "@Message.ExtendedInfo")
    return found if isinstance(found, list) else []


def _rank(info: object) -> int:
    severity = dig(info, "MessageSeverity") or dig(info, "Severity")
    return _SEVERITY.get(severity.lower(), 3) if isinstance(severity, str) else 3


def _message_ids(answer: Answer) -> set[str]:
    return {name.rpartition(".")[2] for name in _texts(dig(info, "MessageId") for info in _infos(answer))}


def _texts(values: Iterable[object]) -> list[str]:
    return [value for value in values if isinstance(value, str)]


def _line(text: str) -> str:
    """What a BMC says, fit for a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:200]).strip()


def _retry_after(answer: Answer) -> float:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0.0
