"""Bringing a database to the tables that this Upshot knows: all of it in one transaction, or nothing."""

import logging
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from upshot.errors import InputError
from upshot.store.engine import reading, shown, writing

SCRIPTS = Path(__file__).parent / "migrations"

HEAD = "0009"
"""The newest revision; kept here so that a store that has it needs no Alembic at the start."""


_log = logging.getLogger("upshot.store")


def migrate(engine: Engine, revision: str = HEAD) -> None:
    """Bring the store to a revision; several processes may do so at once.

    Raises:
        InputError: the store was written by a newer Upshot.
        UnavailableError: it cannot answer, or others write for too long.
    """
    with reading(engine) as connection:
        found = current(connection)
    if found != revision:
        _known(found, engine)
        with writing(engine) as connection:
            _upgrade(connection, revision)
        _log.info("the store %s has revision %s now", shown(engine.url), revision)


def current(connection: Connection) -> str | None:
    """The revision of the store; None where it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return None if found is None else str(found)


def _upgrade(connection: Connection, revision: str) -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of each of its own plugins
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _known(revision: str | None, engine: Engine) -> None:
    if revision is not None and not list((SCRIPTS / "versions").glob(f"{revision}_*.py")):
        raise InputError(
            f"the store {shown(engine.url)} has revision {revision}, which this Upshot does not know: "
            "it was written by a newer one, install that"
        )
