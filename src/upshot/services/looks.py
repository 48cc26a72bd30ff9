"""Looks kept beside a file that grows: who looks again must pay for it, so every look is remembered.

One JSON file for each question asked of each source, in ``.upshot/looks`` beside the data. Data that did not
change give no new look.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from math import isclose
from pathlib import Path
from typing import Any

from upshot.analysis.result import Look, PastComparison
from upshot.errors import InputError
from upshot.formats.canonical import content_hash

FOLDER = Path(".upshot") / "looks"


def looks_file(data: Path, question: Mapping[str, object]) -> Path:
    """Where the looks of one question at one source are kept."""
    return data.parent / FOLDER / f"{data.name}-{content_hash(dict(question))[7:23]}.json"


def read_looks(path: Path) -> tuple[Look, ...]:
    """The looks so far, oldest first; none where there is no file.

    Raises:
        InputError: the file is not what was written.
    """
    if not path.exists():
        return ()
    try:
        return tuple(_look(entry) for entry in json.loads(path.read_text(encoding="utf-8"))["looks"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} does not hold looks ({error}): restore it, or remove it to start afresh"
        ) from None


def write_looks(path: Path, looks: Sequence[Look]) -> None:
    """Keep the looks: the whole file or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"format": 1, "looks": [_entry(look) for look in looks]}, indent=1, allow_nan=False)
    scratch = path.with_suffix(".part")
    scratch.write_text(text + "\n", encoding="utf-8")
    scratch.replace(path)


def is_same(first: Look, second: Look) -> bool:
    """Whether two looks saw the same data; sums that an engine made in another order are the same."""
    one, other = first.comparisons, second.comparisons
    return (
        first.units == second.units
        and one.keys() == other.keys()
        and all(isclose(past.effect, other[key].effect, rel_tol=1e-9) for key, past in one.items())
    )


def _entry(look: Look) -> dict[str, Any]:
    return {
        "number": look.number,
        "information": look.information,
        "day": look.day.isoformat() if look.day else None,
        "units": dict(look.units),
        "comparisons": [
            {"metric": metric, "variant": variant, **_finite(asdict(past))}
            for (metric, variant), past in look.comparisons.items()
        ],
    }


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """Infinite degrees of freedom are null in JSON."""
    return values | {"df": None if values["df"] == float("inf") else values["df"]}


def _look(entry: Mapping[str, Any]) -> Look:
    comparisons = {}
    for one in entry["comparisons"]:
        fields = {name: value for name, value in one.items() if name not in ("metric", "variant")}
        if fields["df"] is None:
            fields["df"] = float("inf")
        comparisons[one["metric"], one["variant"]] = PastComparison(**fields)
    return Look(
        number=int(entry["number"]),
        information=float(entry["information"]),
        comparisons=comparisons,
        units={str(name): int(count) for name, count in entry["units"].items()},
        day=date.fromisoformat(entry["day"]) if entry["day"] else None,
    )
