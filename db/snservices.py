"""How the services of each service node are, as it last said itself (`serval sn`)."""

from collections.abc import Collection, Iterable

from sqlalchemy import Connection, delete, select

from core.services.wanted import Result, State
from db.bulk import bulk_insert
from db.servicetables import sn_service


def note(
    connection: Connection,
    sn: str,
    results: Iterable[Result],
    now: float,
    only: Collection[str] | None = None,
) -> None:
    """Replace what a service node said before; with `only` what it said of these services."""
    old = delete(sn_service).where(sn_service.c.sn == sn)
    connection.execute(old if only is None else old.where(sn_service.c.service.in_(only)))
    rows = [
        {"sn": sn, "service": one.service, "state": one.state.value, "text": one.sentence, "at": now}
        for one in results
    ]
    bulk_insert(connection, sn_service, rows, replace_on=["sn", "service"])


def known(connection: Connection) -> dict[str, list[Result]]:
    """What every service node said, by its name; services in the order of theirs."""
    found: dict[str, list[Result]] = {}
    for row in connection.execute(select(sn_service).order_by(sn_service.c.sn, sn_service.c.service)):
        found.setdefault(row.sn, []).append(Result(row.service, State(row.state), row.text))
    return found
