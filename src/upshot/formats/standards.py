"""The standards of an organisation from and to YAML: what is left out is the default, nothing else is allowed."""

import dataclasses
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from upshot.errors import InputError, PlanError
from upshot.formats.number import parse_number
from upshot.formats.yaml_text import read_yaml, write_yaml
from upshot.model.plan import Monitoring
from upshot.model.standards import WEEKDAYS, Standards

ADAPTER = TypeAdapter(Standards)
_FIELDS = tuple(field.name for field in dataclasses.fields(Standards))
_SHARES = ("confidence", "power", "minimum_effect")
_MENDS = {
    **dict.fromkeys(_SHARES, "give a share between 0% and 100%, such as 80%"),
    "units_per_variant": "give a whole number of 0 or more",
    "minimum_weeks": "give a whole number of weeks of 1 or more",
    "maximum_weeks": "give a whole number of weeks of 1 or more",
    "working_days": f"give a list of {', '.join(WEEKDAYS)}",
    "monitoring": f"give a list of {', '.join(get_args(Monitoring))}",
    "holidays": "give a list of days such as 2026-12-25",
}


def read_standards(path: Path) -> Standards:
    """The standards in a YAML file.

    Raises:
        InputError: the file cannot be read.
        PlanError: everything that is wrong in it, at once.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"the standards {path} cannot be read ({error}): give a YAML file in UTF-8"
        ) from error
    return standards_from_yaml(text, str(path))


def standards_from_yaml(text: str, where: str = "standards") -> Standards:
    """The standards that a YAML (or JSON) text holds; an empty one holds the defaults."""
    return standards_from_mapping(read_yaml(text, where) or {}, where)


def standards_from_mapping(raw: object, where: str = "standards") -> Standards:
    """The standards that plain values describe; raises PlanError with everything that is wrong."""
    if not isinstance(raw, Mapping):
        raise PlanError([f"it is {raw!r}, and no mapping: write a line such as power: 80%"], where)
    problems = [_unknown(str(name)) for name in raw if name not in _FIELDS]
    fields = {name: _number(name, value) for name, value in raw.items() if name in _FIELDS}
    try:
        standards = ADAPTER.validate_python(fields)
    except ValidationError as refused:
        errors = refused.errors(include_url=False)
        problems += dict.fromkeys(_sentence(error) for error in errors)
        raise PlanError(problems, where) from None
    problems += _contradictions(standards)
    if problems:
        raise PlanError(problems, where)
    return standards


def standards_to_mapping(standards: Standards) -> dict[str, Any]:
    """Plain values that `standards_from_mapping` reads back, defaults included: people should see them."""
    plain: dict[str, Any] = ADAPTER.dump_python(standards, mode="json")
    return {
        name: f"{round(value * 100, 10):g}%" if name in _SHARES else value for name, value in plain.items()
    }


def standards_to_yaml(standards: Standards) -> str:
    """A file of standards."""
    return write_yaml(standards_to_mapping(standards))


def _unknown(name: str) -> str:
    close = get_close_matches(name, _FIELDS, n=1)
    return f"{name} is no standard: {f'did you mean {close[0]}?' if close else 'use one of ' + ', '.join(_FIELDS)}"


def _number(name: str, value: object) -> object:
    if name not in _SHARES or not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else value  # true is no 1
    try:
        return parse_number(value)
    except ValueError:
        return value


def _sentence(error: Mapping[str, Any]) -> str:
    name, *place = error["loc"]
    at = f" {place[0] + 1}" if place and isinstance(place[0], int) else ""
    return f"{name}{at} is {error['input']}: {_MENDS[str(name)]}"


def _contradictions(standards: Standards) -> list[str]:
    problems = []
    if standards.minimum_weeks > standards.maximum_weeks:
        problems.append(
            f"minimum_weeks is {standards.minimum_weeks}, above maximum_weeks {standards.maximum_weeks}: "
            "lower the minimum or raise the maximum"
        )
    if not standards.monitoring:
        problems.append("monitoring is empty: name at least one method")
    if not standards.working_days:
        problems.append("working_days is empty: somebody must be there to decide, name at least one day")
    return problems
