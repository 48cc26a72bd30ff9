"""A workspace: what the use cases of experiments need to know, put together once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from upshot.assignment.payload import NewSalt
from upshot.model.event_metric import EventMetric
from upshot.model.fact_table import ExposureTable
from upshot.model.standards import Standards
from upshot.store.control import ControlStore
from upshot.store.flag_store import FlagStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """What a team works in.

    Attributes:
        store: what people decided.
        flags: where flags are kept: in the same store (`upshot.store.flags.StoredFlags`), or in files.
        data: the folder of exposures and events.
        definitions: metrics over events, by name.
        standards: what experiments keep to.
        clock: gives now, with its offset from UTC.
        new_salt: gives a salt that nobody can guess.
        exposures: a declared table that exposures are read from; None: those that Upshot logged.
    """

    store: ControlStore
    flags: FlagStore
    data: Path
    definitions: Mapping[str, EventMetric]
    standards: Standards
    clock: Callable[[], datetime]
    new_salt: NewSalt
    exposures: ExposureTable | None = None

    def close(self) -> None:
        """Give the connections of the store back."""
        self.store.close()
