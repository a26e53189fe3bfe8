"""The dispatch protocol against every order of events that hypothesis finds (docs/architecture.md).

Two real supervisors, real rows, the real gate and authority on a virtual clock (stage.py). What must always
hold is `Stage.check`, looked at after every event; what must happen at last is `teardown`.

The normal run is the same every time. A long random search:

    SERVAL_SEARCH=5000 .venv/bin/pytest tests/integration/test_protocol_model.py -k sqlite --timeout 0
"""

import os
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import event
from stage import Stage

from core.jobspec import Pace
from core.power import Action
from db.engine import open_engine

#: Few, so that jobs meet; x1 has no BMC.
NODES = ["n1", "n2", "x1"]
NAMES = ["sn1", "sn2", "sn3", "mn1"]
POOLS = ["sn1,sn2", "sn2,sn1,sn3", "sn3,mn1", "sn1", "mn1", "sn3,sn2,sn1,mn1"]
#: Non-repeatable ones more often: there is more to lose.
ACTIONS = [Action.RESET, Action.RESET, Action.CYCLE, Action.BOOT, Action.ON, Action.OFF, Action.STAT]
SEARCH = int(os.environ.get("SERVAL_SEARCH", "0"))

names = st.sampled_from(NAMES)
places = st.integers(0, 20)
#: How far every thread of a service node comes in a turn: often it stays in the middle of something.
rounds = st.sampled_from([1, 1, 2, 4, 12])


class Protocol(RuleBasedStateMachine):
    """Rules are what the world may do next; each ends with a look at everything that must hold."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage(open_engine(self.url))
        self.jobs: list[int] = []

    @initialize(on=st.sets(st.sampled_from(NODES)), warm=st.booleans())
    def begin(self, on: set[str], warm: bool) -> None:
        self.stage.bmcs.powered = {node: node in on for node in NODES}
        self.stage.turn(4 if warm else 1)

    # -- people ------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.jobs) < 6)
    @rule(
        action=st.sampled_from(ACTIONS),
        pools=st.dictionaries(st.sampled_from(NODES), st.sampled_from(POOLS), min_size=1, max_size=2),
        supersede=st.sampled_from([False, False, False, True]),
        pace=st.sampled_from([None, None, None, Pace(2.0, 1)]),
    )
    def submit(self, action: Action, pools: dict[str, str], supersede: bool, pace: Pace | None) -> None:
        paced = pace if action in (Action.ON, Action.RESET, Action.BOOT) else None
        self.jobs.append(self.stage.submit(action, pools, supersede=supersede, pace=paced))

    @precondition(lambda self: self.jobs)
    @rule(place=places)
    def cancel(self, place: int) -> None:
        self.stage.cancel(self.jobs[place % len(self.jobs)])

    @rule(name=names)
    def drain_or_undrain(self, name: str) -> None:
        if not self.stage.undrain(name):
            self.stage.drain(name)

    # -- the ordinary course of things -------------------------------------------------------------

    @rule(turns=st.integers(1, 6), rounds=rounds)
    def turn(self, turns: int, rounds: int) -> None:
        self.stage.turn(turns, rounds=rounds)

    @rule(turns=st.sampled_from([1, 4, 16]), place=st.integers(0, 1), rounds=rounds)
    def turn_with_one_supervisor_paused(self, turns: int, place: int, rounds: int) -> None:
        resting = self.stage.supervisors[place % len(self.stage.supervisors)]
        self.stage.turn(turns, resting=[resting], rounds=rounds)

    @rule(name=st.none() | names, turns=st.sampled_from([2, 8, 14, 16]), rounds=rounds)
    def turn_with_some_frozen(self, name: str | None, turns: int, rounds: int) -> None:
        """Frozen in the middle of whatever it did, and thawed: every thread goes on where it was."""
        frozen = [sn for sn in self.stage.sns.values() if sn.runs and name in (None, sn.name)]
        for sn in frozen:
            sn.frozen = True
        self.stage.turn(turns, rounds=rounds)
        for sn in frozen:
            sn.frozen = False

    @rule(name=names, choices=st.lists(places, max_size=4), place=st.integers(0, 1))
    def work_during_a_step(self, name: str, choices: list[int], place: int) -> None:
        """A supervisor reads, somebody else writes, and the supervisor acts on what it read."""
        sn = self.stage.sns[name]
        self.stage.meanwhile = [partial(sn.micro, choice) for choice in choices]
        self.stage.step(place)
        self.stage.meanwhile = []

    @rule(seconds=st.sampled_from([0.1, 0.4, 0.9, 1.5, 2.5, 3.5]))
    def time_passes(self, seconds: float) -> None:
        self.stage.now += seconds

    @rule(place=st.integers(0, 1))
    def step_supervisor(self, place: int) -> None:
        self.stage.step(place)

    @rule(name=names)
    def beat_lease(self, name: str) -> None:
        self.stage.beat_lease(name)

    @rule(name=names, choices=st.lists(places, min_size=1, max_size=12))
    def work_a_little(self, name: str, choices: list[int]) -> None:
        for choice in choices:
            self.stage.sns[name].micro(choice)

    # -- messages ----------------------------------------------------------------------------------

    @precondition(lambda self: self.stage.broker)
    @rule(place=places, keep=st.booleans())
    def deliver(self, place: int, keep: bool) -> None:
        self.stage.deliver(place % len(self.stage.broker), keep=keep)

    @precondition(lambda self: self.stage.broker)
    @rule(place=places)
    def lose(self, place: int) -> None:
        del self.stage.broker[place % len(self.stage.broker)]

    # -- faults ------------------------------------------------------------------------------------

    @rule(name=names)
    def kill(self, name: str) -> None:
        self.stage.sns[name].alive = False

    @rule(name=names)
    def boot_again(self, name: str) -> None:
        if not self.stage.sns[name].alive:
            self.stage.boot(name)

    @rule(name=names, what=st.sampled_from(["frozen", "leased", "database", "consumes", "blind"]))
    def break_or_mend(self, name: str, what: str) -> None:
        sn = self.stage.sns[name]
        setattr(sn, what, not getattr(sn, what))

    @rule(name=names, node=st.sampled_from(NODES), mute=st.booleans())
    def bmc_falls_silent_or_returns(self, name: str, node: str, mute: bool) -> None:
        way = self.stage.bmcs.mute if mute else self.stage.bmcs.silent
        way ^= {(name, node)}

    @rule()
    def redis_goes_or_returns(self) -> None:
        self.stage.redis = not self.stage.redis

    @rule()
    def redis_is_emptied(self) -> None:
        self.stage.empty_redis()

    @rule(place=st.integers(0, 1), orderly=st.booleans())
    def replace_supervisor(self, place: int, orderly: bool) -> None:
        gone = self.stage.supervisors.pop(place % len(self.stage.supervisors))
        if orderly:
            gone.leave()
        self.stage.new_supervisor()

    # -- what must hold ----------------------------------------------------------------------------

    def check_invariants(self, *given: Any, **named: Any) -> None:
        super().check_invariants(*given, **named)
        self.stage.check()

    def teardown(self) -> None:
        """When all faults end every node of every job gets its outcome, and every job ends once."""
        self.stage.heal()
        self.stage.settle()
        self.stage.check()
        assert sorted(self.stage.ended) == sorted(self.jobs)


def run(url: str, examples: int) -> None:
    wanted = settings(
        max_examples=SEARCH or examples,
        stateful_step_count=60 if SEARCH else 40,
        derandomize=not SEARCH,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )

    if url.startswith("sqlite:"):
        # No power cut is part of the model, and waiting for the disk is most of the time.
        event.listen(open_engine(url), "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))

    class Here(Protocol):
        pass

    Here.url = url
    run_state_machine_as_test(Here, settings=wanted)  # type: ignore[no-untyped-call]


def test_the_protocol_holds_on_sqlite(sqlite_url: str) -> None:
    run(sqlite_url, 100)


def test_the_protocol_holds_on_postgresql(postgres_url: str) -> None:
    run(postgres_url, 18)


@pytest.mark.parametrize("place", range(4))
def test_a_reset_survives_a_kill_at_every_pause(sqlite_url: str, place: int) -> None:
    """The service node dies after each possible number of steps: one reset at most, one outcome always."""
    for steps in range(place, 28, 4):
        stage = Stage(open_engine(sqlite_url))
        stage.bmcs.powered["n1"] = True
        stage.turn(3)
        number = stage.submit(Action.RESET, {"n1": "sn1,sn2"})
        stage.step(0)
        stage.deliver_all()
        for choice in range(steps):
            stage.sns["sn1"].micro(choice)
        stage.sns["sn1"].alive = False
        stage.settle()
        stage.check()
        assert stage.outcome(number) in ("ok", "unknown")
