"""What a team defined to be measured: its metrics over events, and where its exposures are, as it is said now."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from upshot.errors import InputError, PlanError
from upshot.formats.catalogue import catalogue
from upshot.formats.declared import ALERTS, STANDARDS
from upshot.formats.event_metrics import SECTION as METRICS
from upshot.formats.event_metrics import WrittenMetrics, read_metric_values
from upshot.formats.fact_tables import EXPOSURES, TABLES
from upshot.formats.standards import standards_from_mapping
from upshot.model.event_metric import EventMetric
from upshot.model.fact_table import ExposureTable
from upshot.model.standards import Standards
from upshot.services.event_metrics import read_written
from upshot.store import definitions
from upshot.store.control import ControlStore

FOLDER = Path("metrics")
"""Where a team keeps it, unless it says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Defined:
    """What can be measured.

    Attributes:
        metrics: over events, by name.
        exposures: a declared table that exposures are read from; None: those that Upshot logged.
    """

    metrics: Mapping[str, EventMetric]
    exposures: ExposureTable | None = None

    def reads_tables(self, names: set[str]) -> bool:
        """Whether metrics of these names, or the exposures, are of tables beside the events."""
        known = (self.metrics[name] for name in names if name in self.metrics)
        sources = (source for metric in known for source in metric.sources)
        return self.exposures is not None or any(source.table is not None for source in sources)


def read_defined(folder: Path | None = None, store: ControlStore | None = None) -> Defined:
    """The metrics of a folder; what it has none of that name for, of the store; and then of the catalogue.

    Args:
        folder: None: ``metrics/``, where there is one. store: where `upshot apply` puts definitions; None: not asked.

    Raises:
        InputError: there is no such folder.
        PlanError: everything that is wrong in its files.
    """
    kept = WrittenMetrics() if store is None else stored_metrics(store)
    place = folder or FOLDER
    if folder is None and not place.is_dir():
        return Defined(metrics={**catalogue(), **kept.metrics}, exposures=kept.exposures)
    own = read_written(place)
    return Defined(
        metrics={**catalogue(), **kept.metrics, **own.metrics}, exposures=own.exposures or kept.exposures
    )


def stored_metrics(store: ControlStore) -> WrittenMetrics:
    """What the store holds of metrics and tables.

    Raises:
        PlanError: a newer Upshot wrote them.
    """
    with store.reading() as connection:
        found = definitions.listed(connection)
    sections: dict[str, Any] = {}
    for one in found:
        if one.section in (METRICS, TABLES):
            sections.setdefault(one.section, {})[one.name] = one.body
        elif one.section == EXPOSURES:
            sections[EXPOSURES] = one.body
    written = read_metric_values({"": sections})
    if written.problems:
        raise PlanError(written.problems, store.name)
    return written


def stored_standards(store: ControlStore) -> Standards:
    """The standards that the store holds, or the defaults."""
    with store.reading() as connection:
        found = definitions.listed(connection, STANDARDS)
    return standards_from_mapping(found[0].body, store.name) if found else Standards()


def stored_addresses(store: ControlStore, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Where alerts go by the store; ``$NAME`` is what the environment has by that name, so no secret is kept.

    Raises:
        InputError: the environment has none.
    """
    with store.reading() as connection:
        found = definitions.listed(connection, ALERTS)
    return tuple(_address(one.name, str(one.body["to"]), environ) for one in found)


def _address(name: str, to: str, environ: Mapping[str, str]) -> str:
    if not to.startswith("$"):
        return to
    known = environ.get(to[1:])
    if not known:
        raise InputError(f"alerts.{name} goes to {to}, and the environment has no {to[1:]}: set it")
    return known
