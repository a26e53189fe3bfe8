"""One visit at one BMC: what is read, asked of the gate, sent once and answered (drivers.bmc.contract)."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from core.bootdev import INACTIVE, BootDevice
from core.errors import BmcRefused, BmcSilent, NodeError, ServalError
from core.power import Action, Done, may_repeat
from core.webaccess import Web
from drivers.bmc import redfishorder as order
from drivers.bmc.batch import RunningBatch
from drivers.bmc.contract import Command, Reply, Target, Verdict
from drivers.bmc.https import Answer, Client, Trusting
from drivers.bmc.lanes import Lanes, Place
from drivers.bmc.redfishorder import Change
from drivers.bmc.redfishtalk import BUSY, DOUBTFUL, Talk, complaint, refuse_login
from drivers.bmc.replies import Replies, endpoint_of

log = logging.getLogger(__name__)

#: A BMC that lets one request wait for so long gives its place to another.
SLOW_S = 1.0
_BACKOFF_S = 0.3


class Visit:
    """A target under way. Everything here happens in the driver's thread."""

    def __init__(
        self,
        batch: "RunningBatch[Visit]",
        command: Command,
        target: Target,
        trusting: Trusting,
        lanes: Lanes,
        put_off: bool = False,
    ) -> None:
        self.batch, self.node, self.command, self.target = batch, target.node, command, target
        #: Whether this visit ended without a reply, for want of room, and another must follow.
        self.unfinished = False
        self.task: asyncio.Task[None] | None = None
        self._replies = Replies(target)
        web = target.web or Web(target.address)
        self._client = Client(target.address, target.port, web, trusting)
        self._talk = Talk(target, self._client, batch.timing, self._patience)
        self._permission: asyncio.Event = asyncio.Event()
        self._place = Place(lanes, put_off)
        self._silent = put_off
        self._answered = False
        self._sent = ""
        self._accepted: str | None = None

    def start(self, ended: Callable[["Visit"], None]) -> None:
        """Go; `ended` is called when the session is closed too."""
        self.task = asyncio.create_task(self._visit())
        self.task.add_done_callback(lambda _: self._over(ended))

    def permit(self) -> None:
        """The mark is written: send."""
        self._permission.set()

    def abandon(self) -> None:
        """Answer with what is known."""
        self.unfinished = False
        if self.task is not None and not self._answered:
            self.task.cancel()

    def _over(self, ended: Callable[["Visit"], None]) -> None:
        if not self._answered and not self.unfinished:
            # A task that is cancelled before it ran never reached its own answer.
            self._answer(self._abandoned())
        self._place.leave()
        ended(self)

    # -- waiting -----------------------------------------------------------------------------------

    @contextmanager
    def _patience(self) -> Iterator[None]:
        """Around every wait for the BMC: a slow one leaves its place to another and counts as silent."""
        timer = asyncio.get_running_loop().call_later(SLOW_S, self._turn_silent)
        try:
            yield
        finally:
            timer.cancel()
            self._heard()

    def _heard(self) -> None:
        if self._silent and not self.unfinished:
            self._silent = False
            self.batch.silence(-1)

    def _turn_silent(self) -> None:
        room = self._place.hang()
        if self._answered:
            return
        if not self._silent:
            self._silent = True
            self.batch.silence(1)
        if not room and not self._talk.met and self.task is not None:
            self.unfinished = True
            self.task.cancel()

    async def _reach(self) -> None:
        """Have a connection and a place in the window; a BMC that lets us wait is tried late."""
        deadline_s = self.batch.timing.deadline_s
        try:
            async with asyncio.timeout(min(SLOW_S, deadline_s)):
                await self._client.knock()
        except TimeoutError:
            with self._patience():
                self._turn_silent()
                await self._place.late()
                async with asyncio.timeout(deadline_s - SLOW_S):
                    await self._client.knock()
        await self._place.enter()

    # -- the visit ---------------------------------------------------------------------------------

    async def _visit(self) -> None:
        reply = await self._reply()
        if not self.unfinished:
            self._answer(reply)
        with self._patience():
            await self._talk.log_out()

    async def _reply(self) -> Reply:
        try:
            return await self._steps()
        except asyncio.CancelledError:
            return self._abandoned()
        except NodeError as error:
            text = f"{error.message} (BMC {self.target.address})"
            return Reply(self.node, Verdict.NODE, text, type(error).__name__, self._sent)
        except TimeoutError:
            return self._replies.silent(self.batch.timing)
        except BmcSilent as error:
            return self._replies.unsent(error.message)
        except Exception as error:
            log.exception("Redfish failed at the BMC of %s", self.node)
            if self._sent:
                return self._replies.lost(self._sent)
            return self._replies.refused(f"Serval failed: {type(error).__name__}")

    def _answer(self, reply: Reply) -> None:
        self._answered = True
        self._heard()
        self.batch.answer(reply)

    def _abandoned(self) -> Reply:
        if self._accepted is not None:
            return self._replies.ok(self._accepted, self._sent)
        return self._replies.lost(self._sent) if self._sent else self._replies.dropped()

    async def _steps(self) -> Reply:
        if endpoint_of(self.target) is None:
            return self._replies.no_address(self.target.address, self.target.port)
        await self._reach()
        await self._talk.log_in()
        step, etag = await self._judge()
        if isinstance(step, Done):
            return self._replies.ok(step.value)
        if not self.batch.ask(self.node, step.sends):
            return self._replies.dropped()
        await self._permission.wait()
        reply = await self._carry_out(step, etag)
        if reply is not None:
            return reply
        self._accepted = step.value
        return self._replies.ok(await self._read_back(step.value), step.sends)

    async def _judge(self) -> tuple[Done | Change, str]:
        """What follows from the system's state, and the ETag that goes with a PATCH."""
        system, etag = await self._talk.read_system()
        command = self.command
        if not isinstance(command, Action):
            if command.device is BootDevice.STAT:
                return Done(order.boot_label(system)), ""
            return order.boot_change(command, system, self._talk.system), etag
        decision = order.power(command, system)
        if isinstance(decision, Done):
            return decision, ""
        reset = order.reset_of(system)
        allowed = reset.allowed
        if allowed is None and reset.info is not None:
            allowed = order.allowed_by_info(await self._talk.read(reset.info))
        return order.reset_change(decision, reset.path, allowed), ""

    async def _carry_out(self, change: Change, etag: str) -> Reply | None:
        """None when the BMC has accepted the change; a reset leaves once, whatever comes."""
        until = monotonic() + self.batch.timing.deadline_s
        while True:
            try:
                answer = await self._talk.change(change, etag, lambda: self._last_look(change.sends))
            except (ServalError, TimeoutError):
                if self._sent:
                    return self._replies.lost(change.sends, self.batch.timing)
                raise
            if answer is None:
                return self._replies.dropped()
            if answer.good:
                return None
            if answer.status == 412 and etag and may_repeat(change.sends):
                # Some BMCs hand out ETags that they do not take back.
                etag = ""
            elif answer.status in BUSY and may_repeat(change.sends) and monotonic() + _BACKOFF_S < until:
                await asyncio.sleep(_BACKOFF_S)
            else:
                return self._refused(answer, change.sends)

    def _refused(self, answer: Answer, sent: str) -> Reply:
        refuse_login(answer)
        if answer.status not in DOUBTFUL:
            return self._replies.refused(complaint(answer), sent)
        text = f"BMC {self.target.address} took '{sent}' and said: {complaint(answer)}"
        return Reply(self.node, Verdict.LOST, text, BmcRefused.__name__, sent)

    def _last_look(self, sends: str) -> bool:
        if not self.batch.may_send(self.node):
            return False
        self._sent = sends
        return True

    async def _read_back(self, value: str) -> str:
        """The boot device that is in force now, or `value` where the BMC does not show it."""
        if isinstance(self.command, Action) or value == INACTIVE:
            return value
        try:
            system, _ = await self._talk.read_system()
        except (ServalError, TimeoutError) as error:
            log.debug("reading back from %s: %s", self.node, type(error).__name__)
            return value
        label = order.boot_label(system)
        return value if label == INACTIVE else label
