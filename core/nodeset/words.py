"""The words of nodeset(8): `boot`, `osimage=NAME`, `runcmd=CMD`, …, and chains: `runcmd=bmcsetup,boot`.

The first word of a chain is what the node boots next; the rest waits in chain.currchain.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from core.errors import RequestError


class Step(StrEnum):
    """What a word asks for. `install`, `netboot` and `statelite` pick an image that fits the node."""

    BOOT = "boot"
    OSIMAGE = "osimage"
    INSTALL = "install"
    NETBOOT = "netboot"
    STATELITE = "statelite"
    SHELL = "shell"
    STANDBY = "standby"
    RUNCMD = "runcmd"
    RUNIMAGE = "runimage"
    SHUTDOWN = "shutdown"
    OFFLINE = "offline"


#: Steps that boot an osimage.
IMAGES = frozenset({Step.OSIMAGE, Step.INSTALL, Step.NETBOOT, Step.STATELITE})
#: Steps that boot the genesis image, which then asks what it is to do.
GENESIS = frozenset({Step.SHELL, Step.STANDBY, Step.RUNCMD, Step.RUNIMAGE})
#: Steps that are written WORD=VALUE; those of the second set may be.
WITH_VALUE = frozenset({Step.RUNCMD, Step.RUNIMAGE})
MAYBE_VALUE = frozenset({Step.OSIMAGE})
#: xCAT's suffix of an image that is installed again although it is the node's image already.
REDEPLOY = ":reboot4deploy"
#: What stands in a kernel command line as one word, whatever the loader; a comma begins the next step.
VALUE = re.compile(r"[A-Za-z0-9_.:/@%+=?&~-]{1,500}")
#: Words of xCAT that Serval does not have, with what to do instead.
ABSENT = {
    "enact": "service nodes make their files match by themselves; serval sn shows how far they are",
    "iscsiboot": "booting from iSCSI is not supported",
    "ondiscover": "write the steps themselves: nodeset NODERANGE runcmd=bmcsetup,osimage=NAME",
}
MOST_STEPS = 32
USAGE = (
    "boot|osimage[=NAME]|install|netboot|statelite|shell|standby|shutdown|offline|"
    "runcmd=COMMAND|runimage=URL|stat, or a chain such as runcmd=bmcsetup,osimage=NAME"
)


@dataclass(frozen=True, slots=True)
class Word:
    """One step; `value` is the image, the command or the URL."""

    step: Step
    value: str = ""

    def __str__(self) -> str:
        return f"{self.step}={self.value}" if self.value else str(self.step)


def parse(text: str) -> tuple[Word, ...]:
    """The steps of a chain, at least one. Raises RequestError, naming the word and how it goes."""
    words = text.split(",")
    if len(words) > MOST_STEPS:
        raise RequestError(f"a chain has at most {MOST_STEPS} steps, not {len(words)}")
    return tuple(_parse_word(word.strip()) for word in words)


def to_text(chain: tuple[Word, ...]) -> str:
    """The chain as `parse` reads it and chain.currchain holds it."""
    return ",".join(map(str, chain))


def _parse_word(text: str) -> Word:
    name, equals, value = text.partition("=")
    if name in ABSENT:
        raise RequestError(f"nodeset {name}: {ABSENT[name]}")
    try:
        step = Step(name)
    except ValueError:
        raise RequestError(f"nodeset does not know {text[:80]!r}. It knows: {USAGE}") from None
    if step in MAYBE_VALUE:
        value = value.removesuffix(REDEPLOY)
    if bool(equals) != bool(value) or (value and step not in WITH_VALUE | MAYBE_VALUE):
        named = f", or {Step.OSIMAGE}=NAME" if step in IMAGES - MAYBE_VALUE else ""
        raise RequestError(f"nodeset {text[:80]!r}: write {_written(step)}{named}")
    if step in WITH_VALUE and not value:
        raise RequestError(f"nodeset {step} needs a value: write {_written(step)}")
    if value and not VALUE.fullmatch(value):
        raise RequestError(
            f"nodeset {text[:80]!r}: behind = stands one word of letters, digits and _.:/@%+=?&~-"
        )
    return Word(step, value)


def _written(step: Step) -> str:
    if step in WITH_VALUE:
        return f"{step}=VALUE"
    return f"{step} or {step}=NAME" if step in MAYBE_VALUE else str(step)
