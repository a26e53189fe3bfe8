"""Chains are rows: the steps of what Python programs ask for."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "step",
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("chain", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("data", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("request", name=op.f("pk_step")),
    )
    op.create_index("ix_step_chain", "step", ["chain", "position"], unique=False)
    op.create_index("ix_step_state", "step", ["state"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_step_state", "step")
    op.drop_index("ix_step_chain", "step")
    op.drop_table("step")
