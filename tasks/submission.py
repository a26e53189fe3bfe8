"""Writing what Python programs ask: the steps of a chain, and the job of the step whose turn it is."""

import json
import os
import pwd
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from core.errors import NoderangeError, RequestError, UnavailableError
from core.noderange import expand, missed_message
from core.nodeset.words import parse
from core.states import StepState
from core.stepspec import NODESET, WAIT, StepSpec, from_text, refused
from db import jobs, steps
from db.engine import Connection, Engine, writing
from db.home import Home
from db.nodes import DatabaseNodes
from db.steps import Step
from drivers import leases, wake
from routing import nodeset
from routing.asking import Asked, new_job

ReadFile = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Call:
    """One step with the Celery task id that its AsyncResult was given."""

    request: str
    spec: StepSpec


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, where and when. `read_file` reads `^file` in noderanges."""

    engine: Engine
    home: Home
    who: str
    now: float
    read_file: ReadFile


def submit(asking: Asking, calls: Sequence[Call]) -> None:
    """Write a whole chain and start its first step, in one transaction; the same chain twice is one chain.

    Raises RequestError when any of its noderanges or settings is wrong: then nothing is written.
    """
    rows = [row(asking, call, place, calls) for place, call in enumerate(calls)]
    with writing(asking.engine) as connection:
        known = DatabaseNodes(connection)
        ranges = [call.spec.noderange for call in calls]
        nodes = [node_list(known, text, asking.read_file) for text in ranges if text is not None]
        if steps.record(connection, rows):
            start(connection, rows[0], nodes[0], asking.home, asking.now)


def refuse(engine: Engine, asked: Sequence[tuple[str, str]], reason: str, now: float) -> None:
    """Note that steps (request, command) cannot be: the chain runner stores that as their result."""
    data, who = refused(reason), user_name()
    chain = asked[0][0]
    rows = [
        Step(request, chain, place, command, "", None, StepState.WAITING, who, now, data)
        for place, (request, command) in enumerate(asked)
    ]
    with writing(engine) as connection:
        steps.record(connection, rows)


def row(asking: Asking, call: Call, place: int, calls: Sequence[Call]) -> Step:
    """The row of one call."""
    return Step(
        request=call.request,
        chain=calls[0].request,
        position=place,
        command=call.spec.command,
        arguments=call.spec.to_text(),
        after=calls[place - 1].request if place else None,
        state=StepState.WAITING,
        who=asking.who,
        created=asking.now,
    )


def start(connection: Connection, step: Step, nodes: Sequence[str], home: Home, now: float) -> bool:
    """Begin a waiting step on these nodes; False when somebody else has.

    Raises RequestError when the site's settings are wrong.
    """
    if not steps.move(connection, step.request, StepState.WAITING, StepState.STARTED):
        return False
    spec = from_text(step.arguments)
    if spec.command == WAIT:
        found = steps.find(connection, step.request)
        begun = {"left": list(nodes), "ok": {}, "said": {}, "polls": 0, "next": now, "since": now}
        return found is not None and steps.note(connection, found, json.dumps(begun))
    label = spec.label(nodes)
    if spec.command == NODESET:
        made = nodeset.plan(connection, parse(spec.word), nodes, home)
        nodeset.enter(connection, made, now, request=step.request, label=label, who=step.who)
        return True
    asked = Asked(step.request, spec.command, spec.what(), nodes, label, step.who)
    jobs.enter(connection, new_job(connection, asked, home.mn), now)
    return True


def node_list(known: DatabaseNodes, text: str, read_file: ReadFile) -> list[str]:
    """The nodes of a noderange. Raises NoderangeError for unknown names and for an empty answer."""
    found = expand(text, known, read_file)
    if found.missed:
        raise NoderangeError(missed_message(found.missed))
    if not found.nodes:
        raise NoderangeError(f"the noderange '{text}' names no node")
    return found.nodes


def refuse_files(name: str) -> str:
    """For messages from elsewhere: the management node's files are not the caller's."""
    raise RequestError(f"^{name}: a noderange in a message cannot name a file")


def named(connection: Connection, text: str) -> list[str]:
    """The nodes of a later step's own noderange, when its turn has come."""
    return node_list(DatabaseNodes(connection), text, refuse_files)


def check_redis(home: Home) -> None:
    """Nothing is asked while Redis does not answer. Raises UnavailableError."""
    url = home.broker_url()
    if url is None:
        raise UnavailableError(f"no Redis: {home.broker_file} does not exist. Start it with: serval up")
    leases.read(leases.connect(url))


def ring(home: Home) -> None:
    """Wake the supervisor; without Redis it finds by itself what has changed."""
    with suppress(UnavailableError):
        wake.ring(leases.connect(home.broker_url() or ""))


def user_name() -> str:
    """Who runs this program."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
