"""Plans from and to YAML: everything that is wrong is named at once, and nothing is guessed."""

import dataclasses
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from upshot.errors import InputError, PlanError
from upshot.formats.metric_text import complete, metric_fields
from upshot.formats.number import parse_number
from upshot.formats.plan_rules import plan_problems
from upshot.formats.validation import NUMERIC, sentence
from upshot.formats.yaml_text import read_yaml, write_yaml
from upshot.model.metric import Metric, Role
from upshot.model.plan import Plan

ADAPTER = TypeAdapter(Plan)


def read_plan(path: str | Path) -> Plan:
    """The plan in a YAML or JSON file.

    Raises:
        InputError: there is no such file, or it is no text.
        PlanError: everything that is wrong in it, at once.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(
            f"the plan {path} does not exist: check the path, or write one with `upshot plan`"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the plan {path} cannot be read ({error}): give a YAML file in UTF-8") from error
    return plan_from_yaml(text, str(path))


def plan_from_yaml(text: str, where: str = "plan") -> Plan:
    """The plan that a YAML (or JSON) text holds; ``where`` begins the message when it holds none."""
    raw = read_yaml(text, where)
    if not isinstance(raw, Mapping):
        raise PlanError(["it holds no fields: begin with metrics: and the names of your metrics"], where)
    return plan_from_mapping(raw, where)


def plan_from_mapping(raw: Mapping[str, Any], where: str = "plan") -> Plan:
    """The plan that plain values describe; metrics may be written in their short form."""
    problems: list[str] = []
    fields = _fields(raw, Plan, "", problems)
    if "split" in fields and isinstance(fields["split"], Mapping):
        fields["split"] = {str(name): _number(weight) for name, weight in fields["split"].items()}
    unreadable = set(raw) - set(fields)
    if "metrics" in fields:
        fields["metrics"] = _metrics(fields["metrics"], problems, unreadable)
    plan = _validated(fields, problems, unreadable)
    problems += plan_problems(plan, unreadable)
    if problems:
        raise PlanError(problems, where)
    return plan


def plan_to_mapping(plan: Plan) -> dict[str, Any]:
    """Plain values that `plan_from_mapping` reads back; what is at its default is left out."""
    plain: dict[str, Any] = ADAPTER.dump_python(plan, mode="json", exclude_defaults=True)
    for metric, written in zip(plan.metrics, plain["metrics"], strict=True):
        written["better"] = metric.better
    return plain


def plan_to_yaml(plan: Plan) -> str:
    """A plan file: who asks what first, the metrics last."""
    plain = plan_to_mapping(plan)
    named = ("id", "name", "hypothesis", "owner")
    others = (field.name for field in dataclasses.fields(Plan) if field.name not in (*named, "metrics"))
    return write_yaml({name: _short(plain[name]) for name in (*named, *others, "metrics") if name in plain})


def _short(value: Any) -> Any:
    """Whole numbers without a point: a weight of 1 rather than 1.0."""
    if isinstance(value, dict):
        return {name: _short(entry) for name, entry in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _fields(raw: Mapping[Any, Any], cls: type, prefix: str, problems: list[str]) -> dict[str, Any]:
    """The fields that the class knows, percentages made numbers; the others become problems."""
    known = [field.name for field in dataclasses.fields(cls)]
    fields = {}
    for key, value in raw.items():
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            mend = f"did you mean {close[0]}?" if close else f"use one of {', '.join(known)}"
            problems.append(f"{prefix}{key} is no field of a {cls.__name__.lower()}: {mend}")
        elif key in NUMERIC and isinstance(value, bool):
            problems.append(f"{prefix}{key} is {str(value).lower()}: give a number")
        else:
            fields[key] = _number(value) if key in NUMERIC else value
    return fields


def _number(value: object) -> object:
    """What a person wrote as a number; anything else stays as it is and is refused later."""
    if not isinstance(value, str):
        return value
    try:
        return parse_number(value)
    except ValueError:
        return value


def _metrics(raw: object, problems: list[str], unreadable: set[str]) -> list[dict[str, Any]]:
    """Each metric as fields; those that cannot be read become problems."""
    metrics = []
    for place, (role, entry) in enumerate(_entries(raw), start=1):
        before = len(problems)
        fields = _metric(entry, role, place, problems)
        if len(problems) > before:
            unreadable.add("metrics")
        else:
            metrics.append(fields)
    return metrics


def _entries(raw: object) -> Iterator[tuple[Role, object]]:
    """Metrics with the role of their place: one list, or lists under primary, secondary and guardrail."""
    if isinstance(raw, Mapping) and raw and set(raw) <= set(get_args(Role)):
        for role, entries in raw.items():
            for entry in entries if isinstance(entries, list) else [entries]:
                yield role, entry
        return
    for entry in raw if isinstance(raw, list | tuple) else [raw]:
        yield "primary", entry


def _metric(entry: object, role: Role, place: int, problems: list[str]) -> dict[str, Any]:
    if isinstance(entry, str):
        try:
            return complete(metric_fields(entry, role))
        except InputError as error:
            problems.append(str(error))
    elif isinstance(entry, Mapping):
        name = entry.get("name", entry.get("column", place))
        fields = _fields(entry, Metric, f"metric {name}: ", problems)
        return complete({"role": role, **fields})
    else:
        problems.append(f"metric {place} is {entry!r}: write a column, or a mapping with name and column")
    return {}


def _validated(fields: dict[str, Any], problems: list[str], unreadable: set[str]) -> Plan:
    """The plan that the model's types accept; what they refuse becomes a problem and gets its default."""
    try:
        return ADAPTER.validate_python(fields)
    except ValidationError as refused:
        errors = refused.errors(include_url=False)
    problems += dict.fromkeys(sentence(error, fields) for error in errors)
    bad = {str(error["loc"][0]) for error in errors}
    unreadable |= bad
    kept = {name: value for name, value in fields.items() if name not in bad}
    metrics = [] if "metrics" not in fields else _sound_metrics(fields["metrics"], errors)
    return ADAPTER.validate_python({**kept, "metrics": metrics})


def _sound_metrics(metrics: list[dict[str, Any]], errors: list[Any]) -> list[dict[str, Any]]:
    bad = {error["loc"][1] for error in errors if error["loc"][0] == "metrics" and len(error["loc"]) > 1}
    return [metric for place, metric in enumerate(metrics) if place not in bad]
