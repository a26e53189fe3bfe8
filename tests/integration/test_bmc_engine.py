"""The engine with many BMCs, bad networks, several callers and forked children."""

import multiprocessing
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection

import pytest
from bmc_rig import QUICK, RecordingGate, run, start

from core.power import Action
from drivers.bmc.contract import Target, Timing, Verdict
from drivers.bmc.engine import Engine
from lab.fleet import Settings
from lab.simulator import Simulator

COUNT = 400
LAST = "127.3.1.144"
LONG = Timing(timeout_s=1.0, retries=15)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(Settings(count=COUNT, base="127.3.0.1", seed=11)) as running:
        yield running


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.close()


@pytest.fixture
def targets(simulator: Simulator) -> list[Target]:
    control = simulator.control
    control.heal()
    control.reset_counters()
    control.power("all", True)
    return [
        Target(f"n{index}", address, b"ADMIN", b"ADMIN", simulator.port)
        for index, address in enumerate(simulator.fleet.bmcs)
    ]


def test_every_bmc_is_reset_once(engine: Engine, simulator: Simulator, targets: list[Target]) -> None:
    gate = RecordingGate()
    replies = run(engine, Action.RESET, targets, LONG, gate)
    assert {reply.verdict for reply in replies.values()} == {Verdict.OK}
    assert set(simulator.control.received("reset").values()) == {1}
    assert set(gate.looks.values()) == {1}


@pytest.mark.slow
def test_a_network_that_loses_a_fifth(engine: Engine, simulator: Simulator, targets: list[Target]) -> None:
    del targets[100:]
    simulator.control.faults("all", loss=0.2, duplicate=0.2)
    states = run(engine, Action.STAT, targets, LONG)
    assert {(reply.verdict, reply.text) for reply in states.values()} == {(Verdict.OK, "on")}
    gate = RecordingGate()
    short = Timing(timeout_s=0.5, retries=12)
    replies = run(engine, Action.RESET, targets, short, gate)
    verdicts = Counter(reply.verdict for reply in replies.values())
    assert set(verdicts) <= {Verdict.OK, Verdict.LOST}
    assert verdicts[Verdict.LOST] > 0
    assert set(gate.looks.values()) == {1}
    counters = simulator.control.counters()
    for target in targets:
        reset = counters[target.address]["executed"].get("reset", 0)
        assert reset == 1 if replies[target.node].verdict is Verdict.OK else reset <= 1


@pytest.mark.slow
def test_silent_bmcs_hold_neither_window_nor_batch(simulator: Simulator, targets: list[Target]) -> None:
    simulator.control.faults("127.3.0.1-127.3.0.40", silent=True)
    narrow = Engine(window=8)
    try:
        batch, replies = start(narrow, Action.STAT, targets, Timing(1.0, 8), RecordingGate())
        assert batch.wait_settled(60)
        assert len(replies) == COUNT - 40
        assert not batch.wait_done(0)
        # One that wakes up is served after all.
        simulator.control.faults("127.3.0.1-127.3.0.10", silent=False)
        assert batch.wait_done(60)
    finally:
        narrow.close()
    verdicts = Counter(reply.verdict for reply in replies)
    assert verdicts == {Verdict.OK: COUNT - 30, Verdict.WAY: 30}


def test_several_callers_at_once(engine: Engine, targets: list[Target]) -> None:
    done: list[int] = []

    def call(part: list[Target]) -> None:
        for _ in range(3):
            done.extend([len(run(engine, Action.STAT, part, LONG))])

    # Every caller speaks to every BMC.
    callers = [threading.Thread(target=call, args=(targets,)) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert done == [COUNT] * 12


def test_close_ends_everything_and_run_begins_anew(
    engine: Engine, simulator: Simulator, targets: list[Target]
) -> None:
    gate = RecordingGate("keep")
    batch, replies = start(engine, Action.RESET, targets, LONG, gate)
    assert gate.asked.wait(30)
    engine.close()
    assert batch.wait_done(0)
    assert {reply.verdict for reply in replies} == {Verdict.DROPPED}
    assert sum(simulator.control.received("reset").values()) == 0
    assert len(run(engine, Action.STAT, targets, LONG)) == COUNT


def _in_child(engine: Engine, targets: list[Target], channel: Connection) -> None:
    channel.send(sorted(reply.text for reply in run(engine, Action.STAT, targets, LONG).values()))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_has_an_engine_of_its_own(engine: Engine, targets: list[Target]) -> None:
    run(engine, Action.STAT, targets[:5], LONG)
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_in_child, args=(engine, targets[:5], there))
    child.start()
    assert here.poll(60), "the child's engine did not answer"
    assert here.recv() == ["on"] * 5
    child.join()
    assert run(engine, Action.STAT, targets[:5], LONG)["n0"].text == "on"


def test_a_gate_that_fails_sends_nothing(engine: Engine, simulator: Simulator, targets: list[Target]) -> None:
    class Broken(RecordingGate):
        def request(self, node: str, sends: str) -> None:
            raise RuntimeError("broken on purpose")

    replies = run(engine, Action.RESET, targets[:3], LONG, Broken())
    assert {reply.verdict for reply in replies.values()} == {Verdict.DROPPED}
    assert sum(simulator.control.received("reset").values()) == 0


def test_a_bmc_that_speaks_nonsense_is_silent(engine: Engine) -> None:
    """Whatever comes from the right address, the loop lives on and the BMC counts as silent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as liar:
        liar.bind(("127.0.0.1", 0))
        liar.settimeout(0.1)
        target = Target("liar", "127.0.0.1", b"ADMIN", b"ADMIN", liar.getsockname()[1])
        batch, replies = start(engine, Action.STAT, [target], QUICK, RecordingGate())
        while not batch.wait_done(0):
            try:
                datagram, peer = liar.recvfrom(2048)
            except TimeoutError:
                continue
            for size in range(0, 60, 3):
                liar.sendto(datagram[:size] + b"\xff" * size, peer)
            answer = bytearray(datagram)
            for kind in range(256):
                answer[5] = kind
                liar.sendto(answer, peer)
    assert [reply.verdict for reply in replies] == [Verdict.WAY]


@pytest.mark.slow
def test_ten_thousand_at_once_lose_none() -> None:
    with Simulator(Settings(count=10_000, base="127.4.0.1", powered=True)) as many:
        engine = Engine()
        try:
            targets = [Target(a, a, b"ADMIN", b"ADMIN", many.port) for a in many.fleet.bmcs]
            replies = run(engine, Action.STAT, targets, LONG)
        finally:
            engine.close()
    assert {(reply.verdict, reply.text) for reply in replies.values()} == {(Verdict.OK, "on")}
