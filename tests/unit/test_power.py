"""What each power action does to a node (xCAT rpower(1), PROTOCOL rule 1)."""

import pytest

from core.power import CONTROL_CODE, Action, Control, Done, Refuse, Send, decide, may_repeat, parse_action


@pytest.mark.parametrize(
    ("action", "powered", "decision"),
    [
        (Action.SUSPEND, True, Send(Control.SUSPEND, "suspend")),
        (Action.SUSPEND, False, Refuse("System is off, cannot be suspended")),
        (Action.WAKE, True, Send(Control.WAKE, "wake")),
        (Action.WAKE, False, Send(Control.WAKE, "wake")),
        (Action.ON, True, Done("on")),
        (Action.RESET, False, Done("off")),
        (Action.BOOT, False, Send(Control.ON, "on")),
    ],
)
def test_decide(action: Action, powered: bool, decision: Done | Send | Refuse) -> None:
    assert decide(action, powered) == decision


def test_what_may_be_repeated() -> None:
    assert {word for word in Control if may_repeat(word)} == {Control.ON, Control.OFF, Control.SOFTOFF}


def test_ipmi_has_no_code_for_suspend_and_wake() -> None:
    assert set(Control) - set(CONTROL_CODE) == {Control.SUSPEND, Control.WAKE}


def test_words() -> None:
    assert [parse_action(word) for word in ("suspend", "wake", "state")] == ["suspend", "wake", "stat"]
