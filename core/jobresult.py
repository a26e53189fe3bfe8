"""What became of a job, as Python programs get it: one answer for every node."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.errors import ServalError
from core.fold import fold
from core.likeness import general
from core.states import Outcome

#: So many different reasons are told one by one.
REASONS = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of one node: `text` is the value (`on`) when it is ok, else the sentence of the error."""

    outcome: Outcome
    text: str
    error: str | None = None
    sn: str | None = None


@dataclass(frozen=True, slots=True)
class JobResult:
    """A job that is over. A step that never ran has no job and no nodes, and `note` says why."""

    job: int | None
    command: str
    nodes: Mapping[str, Answer] = field(default_factory=dict)
    note: str = ""

    @property
    def ok(self) -> list[str]:
        """The nodes that are ok, in order."""
        return self.of(Outcome.OK)

    @property
    def failed(self) -> list[str]:
        """The nodes that are not, in order."""
        return [node for node, answer in self.nodes.items() if answer.outcome is not Outcome.OK]

    @property
    def well(self) -> bool:
        """Whether it ran and every node is ok."""
        return not self.note and not self.failed

    def of(self, outcome: Outcome) -> list[str]:
        """The nodes with this outcome, in order."""
        return [node for node, answer in self.nodes.items() if answer.outcome is outcome]

    def __str__(self) -> str:
        """`996 ok; 4 unreached: n[001-004]: sn1: BMC silent`: equal reasons are told once."""
        if self.note:
            return self.note
        alike: dict[tuple[Outcome, str], list[str]] = {}
        for node in self.failed:
            answer = self.nodes[node]
            alike.setdefault((answer.outcome, general(answer.text, node)), []).append(node)
        most = sorted(alike.items(), key=lambda found: -len(found[1]))
        parts = [f"{len(self.ok)} ok"]
        for (outcome, common), nodes in most[:REASONS]:
            said = {self.nodes[node].text for node in nodes}
            text = said.pop() if len(said) == 1 else common
            parts.append(f"{len(nodes)} {outcome}: {fold(nodes)}: {text}")
        if rest := sum(len(nodes) for _, nodes in most[REASONS:]):
            parts.append(f"{rest} more for other reasons")
        return "; ".join(parts)

    def to_told(self) -> dict[str, Any]:
        """As JSON knows it; `from_told` is the way back."""
        nodes = {name: [a.outcome.value, a.text, a.error, a.sn] for name, a in self.nodes.items()}
        return {"job": self.job, "command": self.command, "note": self.note, "nodes": nodes}


def from_told(told: Mapping[str, Any]) -> JobResult:
    """The result that `to_told` wrote."""
    nodes = {name: Answer(Outcome(a[0]), a[1], a[2], a[3]) for name, a in told["nodes"].items()}
    return JobResult(told["job"], told["command"], nodes, told["note"])


class JobFailed(ServalError):
    """Not every node of a job is ok; `result` says which and why."""

    def __init__(self, message: str, told: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, told)
        self.told = told or JobResult(None, "", note=message).to_told()

    @property
    def result(self) -> JobResult:
        """What became of every node."""
        return from_told(self.told)

    def __str__(self) -> str:
        """The reasons, folded."""
        return self.message

    def __repr__(self) -> str:
        """Without the nodes: it is shown in logs."""
        return f"JobFailed({self.message!r})"


def failure(result: JobResult) -> JobFailed:
    """The exception that a result which is not well becomes."""
    return JobFailed(str(result), result.to_told())
