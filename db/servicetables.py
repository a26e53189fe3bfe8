"""The row of a service: what a service node's daemon was made to be, and how it was when it was last used."""

from sqlalchemy import Column, Float, Table, Text

from db.base import metadata

sn_service = Table(
    "sn_service",
    metadata,
    Column("sn", Text, primary_key=True, doc="Name of the service node."),
    Column("service", Text, primary_key=True, doc="Column of servicenode, or a mount of the site table."),
    Column("state", Text, nullable=False, doc="core.services.wanted.State."),
    Column("text", Text, nullable=False, doc="What was done, or what is wrong."),
    Column("at", Float, nullable=False, doc="When."),
)
