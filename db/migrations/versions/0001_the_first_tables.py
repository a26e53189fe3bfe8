"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "attempt",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("sn", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("nodes", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=True),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("published", sa.Float(), nullable=True),
        sa.Column("claimed", sa.Float(), nullable=True),
        sa.Column("beat", sa.Integer(), nullable=False),
        sa.Column("released", sa.Float(), nullable=True),
        sa.Column("ended", sa.Float(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempt")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_attempt_open",
        "attempt",
        ["job_id"],
        unique=False,
        sqlite_where=sa.text("ended IS NULL"),
        postgresql_where=sa.text("ended IS NULL"),
    )

    op.create_table(
        "event",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sn", sa.Text(), nullable=True),
        sa.Column("nodes", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_event_job_id"), "event", ["job_id"], unique=False)

    op.create_table(
        "ipmi",
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("bmc", sa.Text(), nullable=True),
        sa.Column("bmcport", sa.Text(), nullable=True),
        sa.Column("taggedvlan", sa.Text(), nullable=True),
        sa.Column("bmcid", sa.Text(), nullable=True),
        sa.Column("username", sa.Text(), nullable=True),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("comments", sa.Text(), nullable=True),
        sa.Column("disable", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_ipmi")),
    )
    op.create_table(
        "job",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("changing", sa.Boolean(), nullable=False),
        sa.Column("paced", sa.Boolean(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("supervisor", sa.Text(), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("ready", sa.Float(), nullable=True),
        sa.Column("started", sa.Float(), nullable=True),
        sa.Column("ended", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
        sa.UniqueConstraint("request", name=op.f("uq_job_request")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "job_node",
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("changing", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("binds", sa.Integer(), nullable=False),
        sa.Column("tried", sa.Text(), nullable=False),
        sa.Column("issued", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("sn", sa.Text(), nullable=True),
        sa.Column("ended", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("job_id", "node", name=op.f("pk_job_node")),
    )
    op.create_index("ix_job_node_attempt", "job_node", ["attempt"], unique=False)
    op.create_index("ix_job_node_ended", "job_node", ["job_id", "ended"], unique=False)
    op.create_index("ix_job_node_node", "job_node", ["node", "job_id"], unique=False)
    op.create_index("ix_job_node_state", "job_node", ["job_id", "state"], unique=False)
    op.create_index(
        "ix_job_node_ticket",
        "job_node",
        ["node", "job_id"],
        unique=False,
        sqlite_where=sa.text("outcome IS NULL AND changing IS 1"),
        postgresql_where=sa.text("outcome IS NULL AND changing IS true"),
    )

    op.create_table(
        "member",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("public", sa.Text(), nullable=False),
        sa.Column("joined", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_member")),
    )
    op.create_table(
        "nodegroup",
        sa.Column("groupname", sa.Text(), nullable=False),
        sa.Column("grouptype", sa.Text(), nullable=True),
        sa.Column("members", sa.Text(), nullable=True),
        sa.Column("membergroups", sa.Text(), nullable=True),
        sa.Column("wherevals", sa.Text(), nullable=True),
        sa.Column("comments", sa.Text(), nullable=True),
        sa.Column("disable", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("groupname", name=op.f("pk_nodegroup")),
    )
    op.create_table(
        "nodehm",
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("power", sa.Text(), nullable=True),
        sa.Column("mgt", sa.Text(), nullable=True),
        sa.Column("cons", sa.Text(), nullable=True),
        sa.Column("termserver", sa.Text(), nullable=True),
        sa.Column("termport", sa.Text(), nullable=True),
        sa.Column("conserver", sa.Text(), nullable=True),
        sa.Column("serialport", sa.Text(), nullable=True),
        sa.Column("serialspeed", sa.Text(), nullable=True),
        sa.Column("serialflow", sa.Text(), nullable=True),
        sa.Column("getmac", sa.Text(), nullable=True),
        sa.Column("cmdmapping", sa.Text(), nullable=True),
        sa.Column("consoleondemand", sa.Text(), nullable=True),
        sa.Column("consoleenabled", sa.Text(), nullable=True),
        sa.Column("comments", sa.Text(), nullable=True),
        sa.Column("disable", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_nodehm")),
    )
    op.create_table(
        "nodelist",
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("groups", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("statustime", sa.Text(), nullable=True),
        sa.Column("appstatus", sa.Text(), nullable=True),
        sa.Column("appstatustime", sa.Text(), nullable=True),
        sa.Column("primarysn", sa.Text(), nullable=True),
        sa.Column("hidden", sa.Text(), nullable=True),
        sa.Column("updatestatus", sa.Text(), nullable=True),
        sa.Column("updatestatustime", sa.Text(), nullable=True),
        sa.Column("zonename", sa.Text(), nullable=True),
        sa.Column("comments", sa.Text(), nullable=True),
        sa.Column("disable", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_nodelist")),
    )
    op.create_table(
        "noderes",
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("servicenode", sa.Text(), nullable=True),
        sa.Column("netboot", sa.Text(), nullable=True),
        sa.Column("tftpserver", sa.Text(), nullable=True),
        sa.Column("tftpdir", sa.Text(), nullable=True),
        sa.Column("nfsserver", sa.Text(), nullable=True),
        sa.Column("monserver", sa.Text(), nullable=True),
        sa.Column("nfsdir", sa.Text(), nullable=True),
        sa.Column("installnic", sa.Text(), nullable=True),
        sa.Column("primarynic", sa.Text(), nullable=True),
        sa.Column("discoverynics", sa.Text(), nullable=True),
        sa.Column("cmdinterface", sa.Text(), nullable=True),
        sa.Column("xcatmaster", sa.Text(), nullable=True),
        sa.Column("current_osimage", sa.Text(), nullable=True),
        sa.Column("next_osimage", sa.Text(), nullable=True),
        sa.Column("nimserver", sa.Text(), nullable=True),
        sa.Column("routenames", sa.Text(), nullable=True),
        sa.Column("nameservers", sa.Text(), nullable=True),
        sa.Column("proxydhcp", sa.Text(), nullable=True),
        sa.Column("syslog", sa.Text(), nullable=True),
        sa.Column("comments", sa.Text(), nullable=True),
        sa.Column("disable", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_noderes")),
    )
    op.create_table(
        "nodetype",
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("os", sa.Text(), nullable=True),
        sa.Column("arch", sa.Text(), nullable=True),
        sa.Column("profile", sa.Text(), nullable=True),
        sa.Column("provmethod", sa.Text(), nullable=True),
        sa.Column("supportedarchs", sa.Text(), nullable=True),
        sa.Column("nodetype", sa.Text(), nullable=True),
        sa.Column("comments", sa.Text(), nullable=True),
        sa.Column("disable", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_nodetype")),
    )
    op.create_table(
        "openbmc",
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("bmc", sa.Text(), nullable=True),
        sa.Column("consport", sa.Text(), nullable=True),
        sa.Column("taggedvlan", sa.Text(), nullable=True),
        sa.Column("username", sa.Text(), nullable=True),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("comments", sa.Text(), nullable=True),
        sa.Column("disable", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_openbmc")),
    )
    op.create_table(
        "pacing",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("opened", sa.Float(), nullable=False),
        sa.Column("spent", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pacing")),
    )
    op.create_table(
        "passwd",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("password", sa.Text(), nullable=True),
        sa.Column("cryptmethod", sa.Text(), nullable=True),
        sa.Column("authdomain", sa.Text(), nullable=True),
        sa.Column("comments", sa.Text(), nullable=True),
        sa.Column("disable", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("key", "username", name=op.f("pk_passwd")),
    )
    op.create_table(
        "postscripts",
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("postscripts", sa.Text(), nullable=True),
        sa.Column("postbootscripts", sa.Text(), nullable=True),
        sa.Column("comments", sa.Text(), nullable=True),
        sa.Column("disable", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_postscripts")),
    )
    op.create_table(
        "servicenode",
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("nameserver", sa.Text(), nullable=True),
        sa.Column("dhcpserver", sa.Text(), nullable=True),
        sa.Column("tftpserver", sa.Text(), nullable=True),
        sa.Column("nfsserver", sa.Text(), nullable=True),
        sa.Column("conserver", sa.Text(), nullable=True),
        sa.Column("monserver", sa.Text(), nullable=True),
        sa.Column("ldapserver", sa.Text(), nullable=True),
        sa.Column("ntpserver", sa.Text(), nullable=True),
        sa.Column("ftpserver", sa.Text(), nullable=True),
        sa.Column("nimserver", sa.Text(), nullable=True),
        sa.Column("ipforward", sa.Text(), nullable=True),
        sa.Column("dhcpinterfaces", sa.Text(), nullable=True),
        sa.Column("proxydhcp", sa.Text(), nullable=True),
        sa.Column("comments", sa.Text(), nullable=True),
        sa.Column("disable", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("node", name=op.f("pk_servicenode")),
    )
    op.create_table(
        "site",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("comments", sa.Text(), nullable=True),
        sa.Column("disable", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_site")),
    )
    op.create_table(
        "supervisor",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("beat", sa.Integer(), nullable=False),
        sa.Column("started", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_supervisor")),
    )


def downgrade() -> None:
    op.drop_table("supervisor")
    op.drop_table("site")
    op.drop_table("servicenode")
    op.drop_table("postscripts")
    op.drop_table("passwd")
    op.drop_table("pacing")
    op.drop_table("openbmc")
    op.drop_table("nodetype")
    op.drop_table("noderes")
    op.drop_table("nodelist")
    op.drop_table("nodehm")
    op.drop_table("nodegroup")
    op.drop_table("member")
    op.drop_index(
        "ix_job_node_ticket",
        sqlite_where=sa.text("outcome IS NULL AND changing IS 1"),
        postgresql_where=sa.text("outcome IS NULL AND changing IS true"),
    )
    op.drop_index("ix_job_node_state")
    op.drop_index("ix_job_node_node")
    op.drop_index("ix_job_node_ended")
    op.drop_index("ix_job_node_attempt")

    op.drop_table("job_node")
    op.drop_table("job")
    op.drop_table("ipmi")
    op.drop_index(op.f("ix_event_job_id"))

    op.drop_table("event")
    op.drop_index(
        "ix_attempt_open",
        sqlite_where=sa.text("ended IS NULL"),
        postgresql_where=sa.text("ended IS NULL"),
    )

    op.drop_table("attempt")
