"""Indexes of a job's nodes that a claim or an `issued` mark does not touch."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

OLD = {"state": ["job_id", "state"], "attempt": ["attempt"], "ended": ["job_id", "ended"]}
#: Name → columns and condition.
NEW = {
    "attempt": (["attempt"], "outcome IS NULL AND attempt IS NOT NULL"),
    "open": (["job_id"], "outcome IS NULL"),
    "hopped": (["job_id"], "outcome IS NULL AND error IS NOT NULL"),
    "ended": (["job_id", "ended"], "ended IS NOT NULL"),
}


def upgrade() -> None:
    for name in OLD:
        op.drop_index(f"ix_job_node_{name}", "job_node")
    for name, (columns, condition) in NEW.items():
        where = sa.text(condition)
        index = f"ix_job_node_{name}"
        op.create_index(index, "job_node", columns, sqlite_where=where, postgresql_where=where)
    _fill(50)


def downgrade() -> None:
    for name in NEW:
        op.drop_index(f"ix_job_node_{name}", "job_node")
    for name, columns in OLD.items():
        op.create_index(f"ix_job_node_{name}", "job_node", columns)
    _fill(100)


def _fill(percent: int) -> None:
    """Room in each page for the new version of a row."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.text(f"ALTER TABLE job_node SET (fillfactor = {percent})"))
