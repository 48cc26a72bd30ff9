"""The tables of the control store, the same in SQLite and PostgreSQL; migrations bring a database to them.

Values that Upshot reads as a whole (plans, evidence, flags) are JSON texts, so that their hashes are of what is
stored, byte for byte. Times are texts in UTC with microseconds, which sort as times do.
"""

from datetime import UTC, datetime

from sqlalchemy import Boolean, Column, ForeignKey, Integer, MetaData, String, Table, Text, TypeDecorator
from sqlalchemy.engine import Dialect

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Time(TypeDecorator[datetime]):
    """A moment, kept as ``2026-11-24T12:07:19.000000Z``."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else time_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)


def time_text(value: datetime) -> str:
    """A moment as it is kept; it must know its offset from UTC.

    >>> time_text(datetime(2026, 11, 24, 12, 7, 19, tzinfo=UTC))
    '2026-11-24T12:07:19.000000Z'
    """
    if value.tzinfo is None:
        raise ValueError(f"{value} does not say its time zone")
    return value.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


AUDIT = Table(
    "audit",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False, index=True),
    Column("before", Text),
    Column("after", Text),
    Column("reason", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
)

AUDIT_HEAD = Table(
    "audit_head",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, nullable=False),
    Column("hash", Text, nullable=False),
)

KEYS = Table(
    "keys",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("revoked_at", Time),
)

FLAGS = Table(
    "flags",
    METADATA,
    Column("section", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("written", Text),
    Column("applied", Text),
    Column("version", Integer, nullable=False),
)

DRAWS = Table(
    "draws",
    METADATA,
    Column("section", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("body", Text, nullable=False),
)

FLAG_STATE = Table(
    "flag_state",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", Integer, nullable=False),
    Column("is_applied", Boolean, nullable=False),
)

SWITCHINGS = Table(
    "switchings",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("flag", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("at", Time, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

PLANS = Table(
    "plans",
    METADATA,
    Column("hash", Text, primary_key=True),
    Column("body", Text, nullable=False),
)

EXPERIMENTS = Table(
    "experiments",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("plan", Text, ForeignKey("plans.hash"), nullable=False),
    Column("state", Text, nullable=False, index=True),
    Column("phase", Integer, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("started_at", Time),
    Column("version", Integer, nullable=False),
    Column("design", Text),
    Column("course", Text),
)

LOOKS = Table(
    "looks",
    METADATA,
    Column("experiment", Text, ForeignKey("experiments.id"), primary_key=True),
    Column("phase", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", Time, nullable=False),
    Column("plan", Text, ForeignKey("plans.hash"), nullable=False),
    Column("evidence", Text, nullable=False),
    Column("situation", Text, nullable=False),
    Column("look", Text, nullable=False),
    Column("analysis", Text, nullable=False),
    Column("verdict", Text, nullable=False),
    Column("hash", Text, nullable=False),
)

ALERTS = Table(
    "alerts",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("key", Text, nullable=False, index=True),
    Column("subject", Text, nullable=False, index=True),
    Column("severity", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("advice", Text, nullable=False),
    Column("first_seen", Time, nullable=False),
    Column("last_seen", Time, nullable=False),
    Column("times", Integer, nullable=False),
    Column("delivered", Text, nullable=False),
    Column("ended_at", Time),
)

JOBS = Table(
    "jobs",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("every", Integer, nullable=False),
    Column("began", Time),
    Column("ended", Time),
    Column("due", Time),
    Column("fault", Text, nullable=False),
    Column("holder", Text, nullable=False),
)

LEASES = Table(
    "leases",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", Time, nullable=False),
)

LEARNINGS = Table(
    "learnings",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("experiment", Text, nullable=False, index=True),
    Column("at", Time, nullable=False),
    Column("body", Text, nullable=False),
    Column("words", Text, nullable=False),
)

USERS = Table(
    "users",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("password", Text, nullable=False),
    Column("created_at", Time, nullable=False),
    Column("disabled_at", Time),
)

SESSIONS = Table(
    "sessions",
    METADATA,
    Column("digest", String(64), primary_key=True),
    Column("user_name", Text, ForeignKey("users.name"), nullable=False, index=True),
    Column("began", Time, nullable=False),
    Column("seen", Time, nullable=False),
)

ATTEMPTS = Table(
    "attempts",
    METADATA,
    Column("who", Text, primary_key=True),
    Column("tries", Integer, nullable=False),
    Column("began", Time, nullable=False),
)


def is_declared(name: str | None, *_: object) -> bool:
    """Whether a table or index of a store is declared here: what text is searched by is each database's own."""
    return name is None or not name.startswith("learning_words")


DEFINITIONS = Table(
    "definitions",
    METADATA,
    Column("section", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("body", Text, nullable=False),
    Column("version", Integer, nullable=False),
)

FILED = Table(
    "filed",
    METADATA,
    Column("section", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("hash", Text, nullable=False),
)
