"""Metrics over events in a directory: YAML files that people edit."""

from pathlib import Path

from upshot.formats.event_metrics import WrittenMetrics, read_metric_files
from upshot.store.yaml_files import read_texts


def read_metric_directory(path: Path) -> tuple[WrittenMetrics, tuple[str, ...]]:
    """What the YAML (or JSON) files in a directory and below it hold, and which of them cannot be read.

    Raises:
        InputError: there is no such directory.
    """
    texts, unreadable = read_texts(path, "the metrics")
    return read_metric_files(texts), unreadable
