"""Rows of desired state: what should be, and which revision of it each service node has (DESIGN 6)."""

from sqlalchemy import Column, Float, Index, Integer, PrimaryKeyConstraint, Table, Text

from db.base import metadata

wanted = Table(
    "wanted",
    metadata,
    Column("kind", Text, nullable=False, doc="core.wanted.Kind."),
    Column("name", Text, nullable=False, doc="The node (or service) that the document is about."),
    Column("revision", Integer, nullable=False, doc="Grows with every change of any document of this kind."),
    Column("members", Text, nullable=False, doc="Service nodes that shall have it: `,sn1,sn2,`."),
    Column("holders", Text, nullable=False, doc="Those that ever got it; who is no member removes it."),
    Column("document", Text, nullable=False, doc="JSON: what should be."),
    PrimaryKeyConstraint("kind", "name"),
)
Index("ix_wanted_revision", wanted.c.kind, wanted.c.revision)

kept = Table(
    "kept",
    metadata,
    Column("kind", Text, nullable=False, doc="core.wanted.Kind."),
    Column("sn", Text, nullable=False, doc="The service node."),
    Column("revision", Integer, nullable=False, doc="The revision its files are at."),
    Column("problems", Text, nullable=False, doc="JSON: name → sentence of what it could not do."),
    Column("at", Float, nullable=False, doc="When it wrote this."),
    PrimaryKeyConstraint("kind", "sn"),
)
