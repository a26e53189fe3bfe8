"""What a step asks and what became of a job: reading, labels, and the way through JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bootdev import BootDevice, BootRequest
from core.errors import RequestError
from core.jobresult import REASONS, Answer, JobFailed, JobResult, failure, from_told
from core.power import Action
from core.states import Outcome
from core.stepspec import LABEL, from_text, read_call

answers = st.builds(
    Answer,
    st.sampled_from(Outcome),
    st.text(max_size=20),
    st.none() | st.just("BmcSilent"),
    st.none() | st.just("sn1"),
)
results = st.builds(
    JobResult,
    st.none() | st.integers(1, 10**6),
    st.sampled_from(["rpower", "wait_for"]),
    st.dictionaries(st.text(min_size=1, max_size=8), answers, max_size=20),
    st.text(max_size=20),
)


@given(results)
def test_a_result_survives_json(result: JobResult) -> None:
    assert from_told(json.loads(json.dumps(result.to_told()))) == result


@given(results)
def test_a_failure_survives_the_way_of_an_exception(result: JobResult) -> None:
    """Celery keeps class and arguments of an exception as JSON."""
    made = failure(result)
    again = JobFailed(*json.loads(json.dumps(made.args)))
    assert again.result == result
    assert str(again) == str(made) == str(result)
    assert len(repr(again)) <= len(repr(str(result))) + len("JobFailed()")


@given(results)
def test_every_node_is_ok_or_failed(result: JobResult) -> None:
    assert sorted([*result.ok, *result.failed]) == sorted(result.nodes)
    assert result.well == (not result.note and all(a.outcome == "ok" for a in result.nodes.values()))


def test_reasons_are_folded_and_few() -> None:
    silent = {f"n{i}": Answer(Outcome.UNREACHED, "sn1: BMC silent") for i in range(1, 4)}
    result = JobResult(7, "rpower", {"n9": Answer(Outcome.OK, "on"), **silent})
    assert str(result) == "1 ok; 3 unreached: n[1-3]: sn1: BMC silent"
    own = {f"n{i}": Answer(Outcome.ERROR, f"n{i}: no (BMC 127.1.0.{i}:623)") for i in (1, 2)}
    assert str(JobResult(7, "rpower", own)) == "0 ok; 2 error: n[1-2]: NODE: no (BMC ADDRESS)"
    many = JobResult(7, "rpower", {f"n{i}": Answer(Outcome.ERROR, f"reason {i}x") for i in range(50)})
    assert str(many).count(";") == REASONS + 1
    assert str(many).endswith(f"{50 - REASONS} more for other reasons")
    assert str(JobResult(7, "rpower", {"n1": Answer(Outcome.OK, "on")})) == "1 ok"


def test_steps_are_written_as_on_the_command_line() -> None:
    first = read_call("rpower", ("compute", "on"), {}, first=True)
    assert (first.noderange, first.what()) == ("compute", Action.ON)
    later = read_call("rsetboot", ("net",), {"uefi": True}, first=False)
    assert later.noderange is None
    assert later.what() == BootRequest(BootDevice.NET, persistent=False, uefi=True)
    assert read_call("rpower", ("other", "off"), {}, first=False).noderange == "other"
    for spec in (first, later, read_call("wait_for", ("on",), {"timeout": 5}, first=False)):
        assert from_text(spec.to_text()) == spec


@pytest.mark.parametrize(
    ("command", "args", "kwargs", "says"),
    [
        ("rpower", ("on",), {}, "NODERANGE, WORD"),
        ("rpower", (), {}, "got 0 arguments"),
        ("rpower", ("a", "b", "c"), {}, "got 3 arguments"),
        ("rpower", ("a", "fly"), {}, "Unsupported command: rpower fly"),
        ("rpower", (["a"], "on"), {}, "takes texts"),
        ("rpower", ("", "on"), {}, "takes texts"),
        ("rpower", ("a", "on"), {"force": True}, "no option 'force'"),
        ("rsetboot", ("a", "moon"), {}, "Unsupported command: rsetboot moon"),
        ("rsetboot", ("a", "net"), {"uefi": "yes"}, "uefi must be True or False"),
        ("wait_for", ("a", "on"), {"timeout": -1}, "timeout must be a number"),
        ("wait_for", ("a", "on"), {"timeout": True}, "timeout must be a number"),
        ("wait_for", ("a", "on"), {"interval": float("nan")}, "interval must be a number"),
    ],
)
def test_what_cannot_be_asked(
    command: str, args: tuple[str, ...], kwargs: dict[str, object], says: str
) -> None:
    with pytest.raises(RequestError, match=says):
        read_call(command, args, kwargs, first=True)


def test_labels_are_short() -> None:
    spec = read_call("rpower", ("on",), {}, first=False)
    assert spec.label(["n1", "n2", "n3"]) == "rpower n[1-3] on"
    odd = [f"node{i * i}" for i in range(200)]
    assert spec.label(odd) == "rpower 200 nodes on"
    assert len(spec.label(odd)) <= LABEL


def test_nodeset_takes_the_image_by_name_or_as_a_word() -> None:
    named = read_call("nodeset", ("compute",), {"osimage": "x"}, first=True)
    assert (named.word, named.noderange) == ("osimage=x", "compute")
    assert from_text(named.to_text()) == named
    assert read_call("nodeset", ("compute", "runcmd=bmcsetup,boot"), {}, first=True).word.endswith(",boot")
    assert read_call("nodeset", (), {"osimage": "x"}, first=False).noderange is None
    for args, options in [(("compute", "nonsense"), {}), (("compute",), {"osimage": None, "x": 1}), ((), {})]:
        with pytest.raises(RequestError):
            read_call("nodeset", args, options, first=True)
