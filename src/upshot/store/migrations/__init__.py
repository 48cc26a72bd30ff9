"""Alembic's revisions of the control store, one file for each, never edited once released."""
