"""Metrics over events in a directory: YAML files that people edit."""

from pathlib import Path

from upshot.errors import InputError
from upshot.formats.event_metrics import WrittenMetrics, read_metric_files

SUFFIXES = (".yaml", ".yml", ".json")


def read_metric_directory(path: Path) -> tuple[WrittenMetrics, tuple[str, ...]]:
    """What the YAML (or JSON) files in a directory and below it hold, and which of them cannot be read.

    Hidden files are left alone.

    Raises:
        InputError: there is no such directory.
    """
    if not path.is_dir():
        raise InputError(f"there is no directory {path}: make it, or name the one that holds the metrics")
    texts, unreadable = {}, []
    for file in sorted(one for one in path.rglob("*") if one.suffix in SUFFIXES and one.is_file()):
        inside = file.relative_to(path)
        if any(part.startswith(".") for part in inside.parts):
            continue
        try:
            texts[inside.as_posix()] = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            unreadable.append(
                f"{inside.as_posix()}: this cannot be read ({error}): give a YAML file in UTF-8"
            )
    return read_metric_files(texts), tuple(unreadable)
