"""What a job asks, as JSON."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.bootdev import BootDevice, BootRequest
from core.errors import RequestError
from core.jobspec import JobSpec, Pace, from_text
from core.power import Action

seconds = st.floats(0.01, 1e6)
commands = st.one_of(
    st.sampled_from(Action),
    st.builds(BootRequest, st.sampled_from(BootDevice), st.booleans(), st.booleans()),
)
paces = st.none() | st.builds(Pace, seconds, st.integers(1, 10_000))


@given(st.builds(JobSpec, commands, seconds, st.integers(1, 99), seconds, paces))
def test_it_is_read_as_it_was_written(spec: JobSpec) -> None:
    assert from_text(spec.to_text()) == spec


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "7", '{"power":"explode"}', '{"power":"on"}', '{"boot":["net"],"timeout":1}']
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="specification"):
        from_text(text)
