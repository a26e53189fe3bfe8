"""The row of a copy of an image: what a service node has of it, and what it is fetching (docs/adr/0015)."""

from sqlalchemy import Column, Float, Integer, Table, Text
from sqlalchemy.types import BigInteger

from db.base import metadata

image_copy = Table(
    "image_copy",
    metadata,
    Column("image", Text, primary_key=True, doc="Name of the osimage."),
    Column("sn", Text, primary_key=True, doc="Name of the service node."),
    Column("version", Text, nullable=False, doc="core.imagedoc.ImageDoc.version that it serves, or empty."),
    Column("size", BigInteger, nullable=False, doc="Bytes of that version."),
    Column("since", Float, nullable=False, doc="Since when it serves it."),
    Column("coming", Text, nullable=False, doc="The version that it fetches, or could not fetch."),
    Column("percent", Integer, nullable=False, doc="How much of it is there."),
    Column("problem", Text, nullable=False, doc="Why it could not be fetched."),
    Column("at", Float, nullable=False, doc="When it said so."),
)
