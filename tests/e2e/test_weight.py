"""How much a job weighs: Celery events, and the memory of the processes that work on it."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from rig import Rig, open_rig, settled

from drivers import leases

MOST_EVENTS = 200
MOST_KIB = 150 * 1024


def test_a_thousand_nodes_make_few_events(rig: Rig) -> None:
    """Celery's monitors see attempts, not nodes."""
    heard: Counter[str] = Counter()
    with closing(leases.connect(rig.broker)) as client, client.pubsub() as ear:
        ear.psubscribe("*celeryev*")
        over = threading.Event()

        def listen() -> None:
            while not over.is_set():
                message = ear.get_message(ignore_subscribe_messages=True, timeout=0.2)
                if message:
                    heard[str(message["channel"]).rpartition("/")[2]] += 1

        listener = threading.Thread(target=listen)
        listener.start()
        asked = rig.ask(rig.some(1000), "reset").wait()
        over.set()
        listener.join()
    settled(rig, asked)
    assert asked.status == 0
    assert any("task" in channel for channel in heard), heard
    assert heard.total() < MOST_EVENTS, heard


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Rig]:
    """A box of ten thousand BMCs."""
    rig = open_rig(tmp_path, 10_000)
    yield rig
    rig.box.stop()
    rig.engine.dispose()


@pytest.mark.slow
def test_processes_stay_small(large: Rig) -> None:
    """After ten thousand nodes no worker process holds more than its share of memory."""
    large.quiet()
    asked = large.ask(large.some(10_000), "reset").wait()
    settled(large, asked)
    assert asked.status == 0
    heavy = {}
    for name in ("mn1", *large.box.sns):
        for pid, words in large.box.processes(name).items():
            told = Path(f"/proc/{pid}/smaps_rollup").read_text().split("Rss:")[1]
            heavy[name, pid, " ".join(words[1:6])] = int(told.split()[0])
    print(sorted(heavy.values()))
    assert not {who: size for who, size in heavy.items() if size > MOST_KIB}
