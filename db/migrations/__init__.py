"""The database's history, run by Alembic (db/schema.py)."""
