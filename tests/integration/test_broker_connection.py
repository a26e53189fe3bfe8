"""How Celery's workers come back to a Redis that was away."""

from pathlib import Path

import pytest

from db.home import open_home
from tasks.app import RECONNECT_S, create_app


def test_redis_is_tried_again_at_an_even_pace(tmp_path: Path) -> None:
    home = open_home({"SERVAL_HOME": str(tmp_path), "SERVAL_BROKER": "redis://:secret@127.0.0.1:1/0"})
    pauses: list[float] = []

    def note(error: Exception, pause: float) -> None:
        pauses.append(pause)
        if len(pauses) == 2:
            raise KeyboardInterrupt  # kombu would go on for ever

    with create_app(home).connection_for_read() as connection, pytest.raises(KeyboardInterrupt):
        connection.ensure_connection(note)
    assert pauses == [RECONNECT_S, RECONNECT_S]
