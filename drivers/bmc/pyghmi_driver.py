"""The second driver: pyghmi, for BMCs that the engine does not understand, and as its judge in tests.

pyghmi is used from one thread of the process only (its locks dead-lock otherwise), one BMC after another,
with bytes credentials (str ones break the second login). What changes a node goes out with pyghmi's own retry
off, which is one datagram and no answer waited for; waiting and repeating are done here.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

from pyghmi.exceptions import IpmiException
from pyghmi.ipmi.private.session import Session

from core.power import Done, may_repeat
from drivers.bmc.batch import RunningBatch
from drivers.bmc.chassis import BUSY, READ_BOOT, Plan, Request, meaning, read_back_value
from drivers.bmc.contract import Command, Gate, Reply, Target, Timing
from drivers.bmc.replies import Replies, endpoint_of

log = logging.getLogger(__name__)

_IDLE_S = 1.0
_BACKOFF_S = 0.3
#: What pyghmi says when a BMC fell silent; everything else is an answer.
_SILENCE = ("timeout", "no longer connected", "failed to initialize", "unable to transmit")
#: The code that pyghmi gives an answer that never came.
_NO_ANSWER = 0xFFFF


class _Talk:
    """A BMC whose session waits for permission, or is being spoken to."""

    def __init__(self, target: Target) -> None:
        self.node = target.node
        self.replies = Replies(target)
        self.session: Any = None
        self.plan: Plan | None = None
        self.sent = ""

    def close(self) -> None:
        """Close the session and drop its credentials."""
        session, self.session = self.session, None
        if session is None:
            return
        try:
            session.logout()
        except IpmiException as error:
            log.debug("closing the session of %s: %s", self.node, type(error).__name__)
        session.password = session.kg = session.kgo = session.userid = b""


class PyghmiDriver:
    """Runs batches through pyghmi. One instance a process, made after the last fork."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._batches: list[RunningBatch[_Talk]] = []

    def run(
        self,
        command: Command,
        targets: Sequence[Target],
        timing: Timing,
        gate: Gate,
        on_reply: Callable[[Reply], None],
    ) -> RunningBatch[_Talk]:
        """Start `command` on all targets, return at once; `on_reply` is called from the driver's thread."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="bmc-pyghmi", daemon=True)
                self._thread.start()
        batch = RunningBatch(command, targets, timing, gate, on_reply, self._jobs.put, self)
        self._jobs.put(lambda: self._batches.append(batch))
        self._jobs.put(lambda: self._next(batch))
        return batch

    def close(self) -> None:
        """Abandon what is in flight and end the thread; a later `run` starts anew."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._jobs.put(None)
            thread.join()

    # -- the driver's thread -----------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=_IDLE_S)
            except Empty:
                if any(batch.sessions for batch in self._batches):
                    # pyghmi keeps idle sessions open in here.
                    Session.wait_for_rsp(timeout=0)
                continue
            if job is None:
                break
            job()
        for batch in tuple(self._batches):
            self.abandon(batch, None)

    def _next(self, batch: RunningBatch[_Talk]) -> None:
        """Take one target; the others queue behind whatever was asked meanwhile."""
        if not batch.waiting:
            return
        target = batch.waiting.popleft()
        talk = _Talk(target)
        batch.sessions[target.node] = talk
        reply = _guarded(talk, lambda: self._begin(batch, talk, target))
        if reply is not None:
            self._end(batch, talk, reply)
        if batch.waiting:
            self._jobs.put(lambda: self._next(batch))

    def _begin(self, batch: RunningBatch[_Talk], talk: _Talk, target: Target) -> Reply | None:
        """Log in, read and judge; None when the gate was asked."""
        if endpoint_of(target) is None:
            return talk.replies.no_address(target.address, target.port)
        if not batch.order.offered:
            return talk.replies.unsupported()
        deadline = monotonic() + batch.timing.deadline_s
        try:
            talk.session = _log_in(target, deadline)
            code, data = _read(talk.session, batch.order.read, deadline)
        except IpmiException as error:
            return _failure(talk.replies, str(error), batch.timing)
        judged = batch.order.judge(data) if code == 0 else None
        if judged is None:
            return talk.replies.refused(meaning(code) if code else "the answer is too short")
        if isinstance(judged, Done):
            return talk.replies.ok(judged.value)
        talk.plan = judged
        return None if batch.ask(talk.node, judged.sends) else talk.replies.dropped()

    def permit(self, batch: RunningBatch[_Talk], nodes: Sequence[str]) -> None:
        """The gate said yes to `nodes`."""
        for node in nodes:
            talk = batch.sessions.get(node)
            plan = talk.plan if talk is not None else None
            if talk is not None and plan is not None:
                reply = _guarded(talk, partial(self._carry_out, batch, talk, plan))
                self._end(batch, talk, reply or talk.replies.dropped())

    def abandon(self, batch: RunningBatch[_Talk], nodes: Sequence[str] | None) -> None:
        """End `nodes` (None: all) with what is known: none of them has sent anything yet."""
        if nodes is None:
            while batch.waiting:
                batch.answer(Replies(batch.waiting.popleft()).dropped())
        for node in tuple(batch.sessions) if nodes is None else nodes:
            talk = batch.sessions.get(node)
            if talk is not None:
                self._end(batch, talk, talk.replies.dropped())

    def _end(self, batch: RunningBatch[_Talk], talk: _Talk, reply: Reply) -> None:
        talk.close()
        batch.answer(reply)
        if not batch.sessions and not batch.waiting and batch in self._batches:
            self._batches.remove(batch)

    def _carry_out(self, batch: RunningBatch[_Talk], talk: _Talk, plan: Plan) -> Reply:
        for request in plan.requests:
            reply = self._change(batch, talk, plan, request)
            if reply is not None:
                return reply
        value = plan.value
        if plan.read_back:
            try:
                code, data = _read(talk.session, READ_BOOT, monotonic() + batch.timing.deadline_s)
                value = read_back_value(plan, code, data)
            except IpmiException as error:
                log.debug("reading back from %s: %s", talk.node, type(error).__name__)
        return talk.replies.ok(value, talk.sent)

    def _change(self, batch: RunningBatch[_Talk], talk: _Talk, plan: Plan, request: Request) -> Reply | None:
        """Send one request of the plan; None when the BMC has done it."""
        repeat = may_repeat(plan.sends)
        deadline = monotonic() + batch.timing.deadline_s
        while True:
            _settle(talk.session, deadline)
            if not batch.may_send(talk.node):
                return talk.replies.lost(talk.sent) if talk.sent else talk.replies.dropped()
            answers: list[dict[str, Any]] = []
            before, talk.sent = talk.sent, plan.sends
            try:
                _send_once(talk.session, request, answers)
            except IpmiException:
                # Raised before anything is sent.
                talk.sent = before
                return talk.replies.lost(before) if before else talk.replies.unsent("the session was closed")
            _await(talk.session, answers, deadline, batch.timing.timeout_s if repeat else None)
            code = answers[0].get("code", _NO_ANSWER) if answers else _NO_ANSWER
            if code == 0 or (request.optional and code not in (_NO_ANSWER, BUSY)):
                return None
            if code == _NO_ANSWER and (not repeat or monotonic() >= deadline):
                return talk.replies.lost(plan.sends, batch.timing)
            if code != _NO_ANSWER and (code != BUSY or not repeat or monotonic() >= deadline):
                return talk.replies.completed(code, plan.sends)
            Session.pause(_BACKOFF_S)


def _guarded(talk: _Talk, step: Callable[[], Reply | None]) -> Reply | None:
    """What `step` answers; whatever pyghmi stumbles over is an answer too, so that no target is left over."""
    try:
        return step()
    except Exception as error:
        log.exception("pyghmi failed at the BMC of %s", talk.node)
        if talk.sent:
            return talk.replies.lost(talk.sent)
        return talk.replies.refused(f"pyghmi failed: {type(error).__name__}")


def _log_in(target: Target, deadline: float) -> Any:
    """An open session; pyghmi gives up early, so a silent BMC is tried until `deadline`."""
    while True:
        try:
            return Session(
                bmc=target.address, userid=target.username, password=target.password, port=target.port
            )
        except IpmiException as error:
            if not _is_silence(str(error)) or monotonic() >= deadline:
                raise


def _read(session: Any, request: Request, deadline: float) -> tuple[int, bytes]:
    """Completion code and data of a read; a busy BMC is asked again until `deadline`."""
    while True:
        answer = session.raw_command(netfn=request.netfn, command=request.command, data=request.data)
        code = answer.get("code", _NO_ANSWER)
        if code == _NO_ANSWER:
            raise IpmiException("timeout")
        if code != BUSY or monotonic() >= deadline:
            return code, bytes(answer.get("data", b""))
        Session.pause(_BACKOFF_S)


def _settle(session: Any, deadline: float) -> None:
    """Let a keep-alive that is under way end: pyghmi would queue behind it what is sent now."""
    while session.lastpayload and monotonic() < deadline:
        Session.wait_for_rsp(timeout=_BACKOFF_S)


def _send_once(session: Any, request: Request, answers: list[dict[str, Any]]) -> None:
    """One datagram; its answer is appended to `answers` by `_await`.

    Raises IpmiException when nothing was sent.
    """
    if session.lastpayload:
        raise IpmiException("Session no longer connected")
    session.raw_command(
        netfn=request.netfn, command=request.command, data=request.data, retry=False, callback=answers.append
    )


def _await(session: Any, answers: list[dict[str, Any]], deadline: float, at_most: float | None) -> None:
    end = deadline if at_most is None else min(deadline, monotonic() + at_most)
    while not answers and monotonic() < end:
        Session.wait_for_rsp(timeout=min(_BACKOFF_S, max(0.0, end - monotonic())))
    # With a callback pyghmi leaves this to its caller.
    session.incommand = False
    while session.evq:
        session.evq.popleft().set()


def _is_silence(text: str) -> bool:
    # "None": pyghmi marks a session broken twice and forgets why.
    return text == "None" or any(word in text.lower() for word in _SILENCE)


def _failure(replies: Replies, text: str, timing: Timing) -> Reply:
    """pyghmi's words as a reply; its longer sentences may hold the user name and are cut."""
    if "Incorrect password" in text or "integrity check" in text:
        return replies.wrong_password()
    if "Unauthorized name" in text or "Unauthorized role" in text:
        return replies.unauthorized(0x0D if "name" in text else 0x0A)
    if _is_silence(text):
        return replies.silent(timing)
    return replies.refused(text.partition(" while ")[0])
