"""The catalogue: worked metrics over events that ship with Upshot, to copy and to change."""

import re
from functools import cache
from importlib.resources import files

from upshot.formats.event_metrics import metrics_from_yaml
from upshot.model.event_metric import EventMetric

FILE = "catalogue.yaml"
_ENTRY = re.compile(r"^  (\w+):\n(?:(?:   .*)?\n)*", re.MULTILINE)


@cache
def catalogue() -> dict[str, EventMetric]:
    """The worked metrics by name."""
    return metrics_from_yaml(_text(), FILE)


def worked_text(name: str) -> str:
    """A metric of the catalogue as it is written there, below its heading: the lines to copy into a file.

    >>> print(worked_text("retention_d1"))
    metrics:
      retention_d1:
        kind: retention
        day: 1
        description: Share of users who did anything from 24 to 48 hours after they were exposed.
    """
    found = next(match for match in _ENTRY.finditer(_text()) if match[1] == name)
    return f"metrics:\n{found[0].rstrip()}"


@cache
def _text() -> str:
    return (files("upshot.formats") / FILE).read_text(encoding="utf-8")
