"""Flags in files whose kills are in the audit chain of a control store as well.

``kills.json`` is what counts: it is one atomic write, it lies where the files are, and a kill waits for no database.
The chain follows it: what the file tells and the chain does not is recorded with the next switch, when a server starts,
or within a second by one that runs. So no kill stays without its row and there is no row of what did not happen,
whenever a process dies.
"""

import json
import logging
from collections.abc import Hashable, Iterator
from contextlib import AbstractContextManager

from sqlalchemy import Connection, select

from upshot.assignment.ledger import Ledger
from upshot.errors import InputError, UnavailableError
from upshot.model.flag import FlagSet
from upshot.store.audit import record
from upshot.store.control import ControlStore
from upshot.store.flag_files import FlagDirectory
from upshot.store.flag_store import Stored
from upshot.store.flags import SWITCHED
from upshot.store.kill_file import Switched, Switching
from upshot.store.tables import AUDIT, time_text

Row = tuple[str, str, str]
"""Of a switching in the chain: its action, its subject, and JSON of what tells it from others like it."""

_log = logging.getLogger("upshot.flags")


class AuditedFlags:
    """A `FlagStore` of a directory, with a control store whose chain has its kills."""

    def __init__(self, files: FlagDirectory, store: ControlStore) -> None:
        self._files, self._store = files, store
        self._recorded: Switched | None = None

    @property
    def name(self) -> str:
        return self._files.name

    def version(self) -> Hashable:
        return self._files.version()

    def read(self) -> Stored:
        return self._files.read()

    def write(self, ledger: Ledger, applied: FlagSet) -> None:
        self._files.write(ledger, applied)

    def alone(self) -> AbstractContextManager[None]:
        return self._files.alone()

    def switch(self, entry: Switching) -> bool:
        changed = self._files.switch(entry)
        try:
            self.catch_up()
        except (InputError, UnavailableError) as error:
            _log.warning("flag %s is switched, and will be in the audit chain later: %s", entry.flag, error)
        return changed

    def catch_up(self) -> int:
        """Record what the file tells and the chain does not; how many rows that took.

        Raises:
            InputError: the file cannot be read. UnavailableError: the store cannot be written.
        """
        kills = self._files.kills()
        if kills == self._recorded:
            return 0
        rows = list(_rows(kills))
        with self._store.reading() as connection:
            found = _found(connection)
        added = sum(self._record(entry, row) for entry, row in rows if row not in found)
        self._recorded = kills
        return added

    def _record(self, entry: Switching, row: Row) -> bool:
        """Record a switching unless another process was quicker."""
        actor, reason = (_storable(text) for text in (entry.actor, entry.reason))
        with self._store.changing(actor.strip() or "unknown", reason) as change:
            if row in _found(change.connection):
                return False
            action, subject, after = row
            record(change, action, subject, after=after)
            return True


def _rows(kills: Switched) -> Iterator[tuple[Switching, Row]]:
    for number, entry in enumerate(kills.history, 1):
        after = json.dumps({"at": time_text(entry.at), "number": number}, separators=(",", ":"))
        yield entry, (SWITCHED[entry.action], f"flag/{entry.flag}", after)


def _found(connection: Connection) -> set[Row]:
    columns = AUDIT.c.action, AUDIT.c.subject, AUDIT.c.after
    query = select(*columns).where(AUDIT.c.action.in_(SWITCHED.values()))
    return {(action, subject, after) for action, subject, after in connection.execute(query)}


def _storable(text: str) -> str:
    """A text of a file that anybody may have edited, without what no database keeps."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
