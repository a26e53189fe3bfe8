"""Where Celery's database back end finds Serval's own database, with Serval's time-outs.

Celery keeps two tables of its own there, `celery_result` and `celery_group`; nobody else writes to them.
"""

from typing import Any

from db.engine import LOCK_WAIT, PG_ARGUMENTS, PG_OPTIONS, open_engine

TABLES = {"task": "celery_result", "group": "celery_group"}


def celery_place(database: str) -> tuple[str, dict[str, Any]]:
    """Celery's `result_backend`, which may hold a password, and the driver's arguments."""
    url = open_engine(database).url
    place = "db+" + url.render_as_string(hide_password=False)
    if url.get_backend_name() == "sqlite":
        return place, {"timeout": LOCK_WAIT}
    return place, {**PG_ARGUMENTS, "options": PG_OPTIONS}
