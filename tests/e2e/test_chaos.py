"""A service node killed or frozen at random moments of a bulk reset (PROTOCOL 2, 4, 5, 8, 9)."""

import random
import signal
import time

import pytest
from rig import Rig, counts, settled

from core.states import Outcome

SEED = 20261122
POINTS = 25
NODES = 300
LATENCY_S = 0.03
#: A frozen host of which half of all live on before they are given up.
SHORT_S, LONG_S = (1.0, 2.5), (4.0, 6.0)


@pytest.fixture(scope="module")
def length(box_rig: Rig) -> float:
    """How long the job of these tests takes when nothing happens, in seconds."""
    taken = []
    for _ in range(3):
        box_rig.quiet()
        box_rig.box.control.faults("all", latency=LATENCY_S)
        asked = box_rig.ask(box_rig.some(NODES), "reset").wait()
        settled(box_rig, asked)
        assert asked.status == 0
        info = box_rig.info(asked.job)
        assert info.ended is not None
        taken.append(info.ended - info.created)
    return min(taken)


@pytest.mark.parametrize("point", range(POINTS), ids=lambda n: f"seed{SEED}-{n}")
def test_a_service_node_is_killed_or_frozen(rig: Rig, length: float, point: int) -> None:
    """Whatever the moment: one outcome a node, one reset a BMC at most, and the other SN finishes."""
    chance = random.Random(f"{SEED} {point} {rig.engine.name}")
    victim = ("sn1", "sn2")[point % 2]
    killed = point // 2 % 2 == 0
    rig.box.control.faults("all", latency=LATENCY_S)
    asked = rig.ask(rig.some(NODES), "reset")
    time.sleep(chance.uniform(0, length))
    if killed:
        rig.box.signal(victim, signal.SIGKILL)
        if point // 4 % 6:  # mostly as init would, at once; sometimes when all is over
            rig.up()
    else:
        rig.box.signal(victim, signal.SIGSTOP)
        time.sleep(chance.uniform(*(SHORT_S, LONG_S)[point // 4 % 2]))
        rig.box.signal(victim, signal.SIGCONT)
    asked.wait()
    settled(rig, asked, lost=[victim])
    found = counts(rig, asked)
    print(f"{rig.engine.name} {victim} {'killed' if killed else 'frozen'}: {dict(found)}")
    assert set(found) <= {Outcome.OK, Outcome.UNKNOWN}
