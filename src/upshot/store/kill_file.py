"""Flags of a directory that are off whatever its files say: who turned them off, when and why.

``kills.json`` lies beside the ledger. What is off and all that was done are one list in one file that is replaced as a
whole, so that no kill is without its record and no record without its kill, whenever the process or the machine dies.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from upshot.errors import InputError
from upshot.store.whole_file import replace_file

KILLS = "kills.json"
FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Switching:
    """That a flag was turned off whatever is written, or given back to it.

    Attributes:
        flag: its key. action: which of the two.
        at: when. actor: who. reason: why.
    """

    flag: str
    action: Literal["kill", "revive"]
    at: datetime
    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched:
    """What was turned off and given back.

    Attributes:
        history: all of it, oldest first.
    """

    history: tuple[Switching, ...] = ()

    @property
    def off(self) -> Mapping[str, Switching]:
        """The kill of each flag that is off now."""
        last = {entry.flag: entry for entry in self.history}
        return {key: entry for key, entry in last.items() if entry.action == "kill"}

    @property
    def rounds(self) -> Mapping[str, int]:
        """For each flag that was given back: the number of the time for which it is watched now, from 2 on."""
        revived = [entry.flag for entry in self.history if entry.action == "revive"]
        return {key: 1 + revived.count(key) for key in revived}

    def after(self, entry: Switching) -> "Switched":
        """With one thing more that was done; the same where it changes nothing."""
        if (entry.flag in self.off) == (entry.action == "kill"):
            return self
        return Switched(history=(*self.history, entry))


def read_kills(path: Path) -> Switched:
    """What a file holds; nothing where there is none.

    Raises:
        InputError: it holds something else.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain["format"] != FORMAT:
            raise ValueError(f"its format is {plain['format']}, not {FORMAT}")  # noqa: TRY301
        return Switched(history=tuple(_entry(entry) for entry in plain["history"]))
    except FileNotFoundError:
        return Switched()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} does not say which flags are off ({error}): restore it; remove it only where no flag was killed"
        ) from error


def write_kills(path: Path, switched: Switched) -> None:
    """Keep what is off, durably.

    Raises:
        InputError: it cannot be written.
    """
    history = [_plain(entry) for entry in switched.history]
    text = json.dumps({"format": FORMAT, "off": sorted(switched.off), "history": history}, indent=1)
    try:
        replace_file(path, text + "\n")
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}): make {path.parent} writable, or set enabled: false where "
            "the flags are edited"
        ) from error


def _entry(plain: Mapping[str, Any]) -> Switching:
    if plain["action"] not in ("kill", "revive"):
        raise ValueError(f"an action is {plain['action']!r}")
    at = datetime.fromisoformat(plain["at"])
    said = {name: str(plain[name]) for name in ("flag", "actor", "reason")}
    return Switching(action=plain["action"], at=at, **said)


def _plain(entry: Switching) -> dict[str, str]:
    at = entry.at.isoformat(timespec="milliseconds")
    return {
        "at": at,
        "action": entry.action,
        "flag": entry.flag,
        "actor": entry.actor,
        "reason": entry.reason,
    }
