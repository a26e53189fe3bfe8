"""What one step of a chain asks, as Python programs write it: `rpower.s("compute", "on")`.

The arguments are those of the command line. A later step of a chain may leave the noderange out: it gets
the nodes that the step before left ok.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.bootdev import BootRequest, parse_device
from core.errors import RequestError
from core.fold import fold
from core.nodeset.words import parse
from core.power import Action, parse_action

WAIT = "wait_for"
#: Begins the request ids of a wait's stat jobs; Flower shows the wait instead of them.
POLL = "wait:"
NODESET = "nodeset"
#: Command → options it knows, with their type and default.
OPTIONS: dict[str, dict[str, tuple[type, Any]]] = {
    "rpower": {},
    "rsetboot": {"persistent": (bool, False), "uefi": (bool, False)},
    NODESET: {},
    WAIT: {"timeout": (float, 600.0), "interval": (float, 5.0)},
}
#: A label names the nodes themselves up to so many letters.
LABEL = 60


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One step: `word` is the action, the boot device, the boot state or what is waited for."""

    command: str
    word: str
    #: None: the nodes that the step before left ok.
    noderange: str | None
    options: Mapping[str, Any] = field(default_factory=dict)

    def what(self) -> Action | BootRequest:
        """The job that it is. Raises RequestError when there is no such action or device."""
        if self.command == "rsetboot":
            return BootRequest(parse_device(self.word), self.options["persistent"], self.options["uefi"])
        return parse_action(self.word)

    def check(self) -> None:
        """Raises RequestError when the command does not know the word."""
        if self.command == NODESET:
            parse(self.word)
        elif self.command != WAIT:
            self.what()

    def label(self, nodes: Sequence[str]) -> str:
        """What people read: `rpower compute on`."""
        folded = self.noderange or fold(nodes)
        return f"{self.command} {folded if len(folded) <= LABEL else f'{len(nodes)} nodes'} {self.word}"

    def to_text(self) -> str:
        """The JSON for step.arguments."""
        return json.dumps([self.command, self.word, self.noderange, dict(self.options)])


def from_text(text: str) -> StepSpec:
    """The step that `to_text` wrote."""
    command, word, noderange, options = json.loads(text)
    return StepSpec(command, word, noderange, options)


def read_call(command: str, args: Sequence[Any], kwargs: Mapping[str, Any], *, first: bool) -> StepSpec:
    """The step that a call with these arguments means. Raises RequestError, saying how it is written."""
    usage = f"write it as {command}.s({'' if not first else 'NODERANGE, '}WORD)"
    if command == NODESET and "osimage" in kwargs:
        args = [*args, f"osimage={kwargs['osimage']}"]
        kwargs = {name: value for name, value in kwargs.items() if name != "osimage"}
    if not all(isinstance(word, str) and word for word in args):
        raise RequestError(f"{command} takes texts, not {args!r}: {usage}")
    if len(args) == 2:
        noderange, word = args
    elif len(args) == 1 and not first:
        noderange, word = None, args[0]
    else:
        raise RequestError(f"{command} got {len(args)} arguments: {usage}")
    spec = StepSpec(command, word, noderange, _options(command, kwargs))
    spec.check()
    return spec


def _options(command: str, given: Mapping[str, Any]) -> dict[str, Any]:
    known = OPTIONS[command]
    for name in given:
        if name not in known:
            raise RequestError(f"{command} has no option '{name}'; it has: {', '.join(known) or 'none'}")
    return {name: _value(command, name, given.get(name, usual)) for name, (_, usual) in known.items()}


def _value(command: str, name: str, value: Any) -> Any:
    kind = OPTIONS[command][name][0]
    if kind is bool and isinstance(value, bool):
        return value
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e7:
        return float(value)
    wanted = "True or False" if kind is bool else "a number of seconds above 0"
    raise RequestError(f"{command}: {name} must be {wanted}, not {value!r}")


def refused(reason: str) -> str:
    """What `data` of a step holds that will not run."""
    return json.dumps({"refused": reason})


def refusal(data: str | None) -> str:
    """Why a step that nothing precedes was not begun, or was ended."""
    return str(json.loads(data or "{}").get("refused", "the step before it is gone"))


def poll_request(step: str, number: int) -> str:
    """The request id of a wait's stat job."""
    return f"{POLL}{step}:{number}"


def step_of(request: str) -> str:
    """The step that a job's request belongs to: a wait's stat job to the wait, any other to itself."""
    return request.removeprefix(POLL).rpartition(":")[0] if request.startswith(POLL) else request
