"""What each power action does to a node, as rules without any I/O (IPMI 2.0 section 28.3, xCAT rpower(1)).

Every action reads the chassis state first. `decide` then says either what is printed at once or which
chassis control command leaves, and whether that command may be sent a second time.
"""

from dataclasses import dataclass
from enum import StrEnum

from core.errors import RequestError


class Action(StrEnum):
    """A power action, in xCAT's words."""

    ON = "on"
    OFF = "off"
    SOFTOFF = "softoff"
    RESET = "reset"
    BOOT = "boot"
    CYCLE = "cycle"
    NMI = "nmi"
    SUSPEND = "suspend"
    WAKE = "wake"
    STAT = "stat"


#: Other spellings that xCAT accepts.
ALIASES = {"state": Action.STAT, "status": Action.STAT}


class Control(StrEnum):
    """A chassis control command on its way to a BMC; the word is also what `issued` records."""

    OFF = "off"
    ON = "on"
    CYCLE = "cycle"
    RESET = "reset"
    NMI = "nmi"
    SOFTOFF = "softoff"
    SUSPEND = "suspend"
    WAKE = "wake"


#: IPMI chassis control codes (IPMI 2.0 table 28-4); it has none for suspend and wake.
CONTROL_CODE = {
    Control.OFF: 0,
    Control.ON: 1,
    Control.CYCLE: 2,
    Control.RESET: 3,
    Control.NMI: 4,
    Control.SOFTOFF: 5,
}

#: xCAT's words.
OFF_CANNOT_SUSPEND = "System is off, cannot be suspended"

#: What may be sent again without harm; `setboot` is the boot device of rsetboot.
REPEATABLE = frozenset({"on", "off", "softoff", "setboot"})


#: nodelist.status after a command that was sent and accepted; after others it stays.
STATUS_AFTER = {
    "on": "powering-on",
    "reset": "powering-on",
    "cycle": "powering-on",
    "off": "powering-off",
    "softoff": "powering-off",
}


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing needs to be sent; `value` is the node's result."""

    value: str


@dataclass(frozen=True, slots=True)
class Send:
    """`control` must be sent once; `value` is the result when the BMC accepts it."""

    control: Control
    value: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """It cannot be done to a node in this state; `reason` is what is printed."""

    reason: str


def parse_action(word: str) -> Action:
    """The action that `word` names.

    Raises RequestError, naming the word and the valid ones.
    """
    if word in ALIASES:
        return ALIASES[word]
    try:
        return Action(word)
    except ValueError:
        known = "|".join(action.value for action in Action)
        raise RequestError(f"Unsupported command: rpower {word}. Valid actions: {known}") from None


def changes_state(action: Action) -> bool:
    """Whether the action can change the node; such jobs queue behind each other node by node."""
    return action is not Action.STAT


def may_repeat(sent: str) -> bool:
    """Whether the command word recorded as `issued` may be sent again after a loss."""
    return sent in REPEATABLE


def decide(action: Action, powered: bool) -> Done | Send | Refuse:
    """What `action` does to a node whose chassis says `powered`."""
    state = "on" if powered else "off"
    match action:
        case Action.STAT:
            return Done(state)
        case Action.ON:
            return Done("on") if powered else Send(Control.ON, "on")
        case Action.OFF:
            return Send(Control.OFF, "off") if powered else Done("off")
        case Action.SOFTOFF:
            return Send(Control.SOFTOFF, "softoff") if powered else Done("off")
        case Action.RESET:
            return Send(Control.RESET, "reset") if powered else Done("off")
        case Action.BOOT:
            return Send(Control.RESET, "reset") if powered else Send(Control.ON, "on")
        case Action.CYCLE:
            return Send(Control.CYCLE, "cycle")
        case Action.NMI:
            return Send(Control.NMI, "nmi")
        case Action.SUSPEND:
            return Send(Control.SUSPEND, "suspend") if powered else Refuse(OFF_CANNOT_SUSPEND)
        case Action.WAKE:
            return Send(Control.WAKE, "wake")
