"""What a team defined to be measured: its metrics over events, and where its exposures are, as files say it now."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from upshot.formats.catalogue import catalogue
from upshot.model.event_metric import EventMetric
from upshot.model.fact_table import ExposureTable
from upshot.services.event_metrics import read_exposures, read_metrics

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


def read_defined(folder: Path | None = None) -> Defined:
    """The metrics of a folder, and those of the catalogue that it has no own of that name for.

    Args:
        folder: None: ``metrics/``, where there is one.

    Raises:
        InputError: there is no such folder.
        PlanError: everything that is wrong in its files.
    """
    place = folder or FOLDER
    if folder is None and not place.is_dir():
        return Defined(metrics=catalogue())
    return Defined(metrics={**catalogue(), **read_metrics(place)}, exposures=read_exposures(place))
