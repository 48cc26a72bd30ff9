"""Experiments from and to YAML: the design with its plan; everything that is wrong is named at once."""

import dataclasses
from collections.abc import Iterator, Mapping
from datetime import timedelta
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from upshot.errors import InputError, PlanError
from upshot.formats.duration import duration_text, parse_duration
from upshot.formats.number import parse_number
from upshot.formats.plans import plan_from_mapping, plan_to_mapping, plan_to_yaml
from upshot.formats.yaml_text import read_yaml, write_yaml
from upshot.model.experiment import Design, Executed, Execution, ExperimentType, LaggingMetric
from upshot.model.plan import Plan
from upshot.model.standards import STANDARDS

ADAPTER = TypeAdapter(Design)

ABOVE = ("id", "name", "hypothesis", "owner")
"""Fields of the plan that stand at the top of the file."""
_OWN = tuple(field.name for field in dataclasses.fields(Design) if field.name != "plan")
ORDER = (
    "id", "name", "type", "flag", "owner", "hypothesis", "background", "variants", "plan", "segments", "rollback",
    "execution", "lagging", "tags", "exceptions",
)  # fmt: skip
_STAND_IN = Plan(metrics=())


def read_design(path: str | Path) -> Design:
    """The experiment in a YAML or JSON file.

    Raises:
        InputError: there is no such file, or it is no text.
        PlanError: everything that is wrong in it, at once.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"the experiment {path} does not exist: check the path") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"the experiment {path} cannot be read ({error}): give a YAML file in UTF-8"
        ) from error
    return design_from_yaml(text, str(path))


def design_from_yaml(text: str, where: str = "experiment") -> Design:
    """The experiment that a YAML (or JSON) text holds; ``where`` begins the message when it holds none."""
    raw = read_yaml(text, where)
    if not isinstance(raw, Mapping):
        raise PlanError(["it holds no fields: begin with name: and plan:"], where)
    return design_from_mapping(raw, where)


def design_from_mapping(raw: Mapping[str, Any], where: str = "experiment") -> Design:
    """The experiment that plain values describe; raises PlanError with everything that is wrong."""
    problems = list(_unknown(raw, ORDER, "an experiment"))
    plan = _plan(raw, problems)
    fields = {name: raw[name] for name in _OWN if raw.get(name) is not None}
    if "execution" in fields:
        fields["execution"] = _execution(fields["execution"], problems)
    if "lagging" in fields:
        fields["lagging"] = _lagging(fields["lagging"], problems)
    design = _validated(fields, plan or _STAND_IN, problems)
    problems += _contradictions(design, with_plan=plan is not None)
    if problems or plan is None:
        raise PlanError(list(dict.fromkeys(problems)), where)
    return design


def design_to_mapping(design: Design) -> dict[str, Any]:
    """Plain values that `design_from_mapping` reads back; what is at its default is left out."""
    plan = plan_to_mapping(design.plan)
    above = {name: plan.pop(name) for name in ABOVE if name in plan}
    return _ordered({**above, **details_to_mapping(design), "plan": plan})


def details_to_mapping(design: Design) -> dict[str, Any]:
    """All of a design but its plan, as plain values."""
    plain: dict[str, Any] = ADAPTER.dump_python(
        design, mode="json", exclude_defaults=True, exclude={"plan": True}
    )
    if "execution" in plain:
        plain["execution"] = _execution_plain(plain["execution"], design.execution)
    if "lagging" in plain:
        plain["lagging"] = [
            {"metric": one.metric, "after": duration_text(one.after)} for one in design.lagging
        ]
    return plain


def design_of(plan: Plan, details: Mapping[str, Any]) -> Design:
    """The design that a plan and `details_to_mapping` make; rules of today are not asked of what was kept."""
    fields = dict(details)
    problems: list[str] = []
    if "execution" in fields:
        fields["execution"] = _execution(fields["execution"], problems)
    if "lagging" in fields:
        fields["lagging"] = _lagging(fields["lagging"], problems)
    kept: Design = ADAPTER.validate_python({**fields, "plan": plan})
    return kept


def design_to_yaml(design: Design) -> str:
    """A file of an experiment, its fields in the order in which people read them."""
    plan = read_yaml(plan_to_yaml(design.plan), "plan")
    above = {name: plan.pop(name) for name in ABOVE if name in plan}
    return write_yaml(_ordered({**above, **details_to_mapping(design), "plan": plan}))


def _ordered(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {name: plain[name] for name in ORDER if name in plain}


def _execution_plain(plain: Mapping[str, Any], execution: Execution) -> dict[str, Any]:
    told = dict(plain)
    for name in ("rollout", "holdback"):
        if name in told:
            share = getattr(execution, name)
            told[name] = [_percent(one) for one in share] if name == "rollout" else _percent(share)
    if "every" in told:
        told["every"] = duration_text(execution.every)
    return told


def _percent(share: float) -> str:
    return f"{round(share * 100, 10):g}%"


# From files


def _unknown(raw: Mapping[Any, Any], known: tuple[str, ...], what: str, prefix: str = "") -> Iterator[str]:
    for key in raw:
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            mend = f"did you mean {close[0]}?" if close else f"use one of {', '.join(known)}"
            yield f"{prefix}{key} is no field of {what}: {mend}"


def _plan(raw: Mapping[str, Any], problems: list[str]) -> Plan | None:
    """The plan with what stands above it; None where it cannot be read."""
    written = raw.get("plan")
    above = {name: raw[name] for name in ABOVE if raw.get(name) is not None}
    if not isinstance(written, Mapping):
        problems.append(
            "plan is missing: write plan: with metrics: below it"
            if written is None
            else f"plan is {_shown(written)}: give a mapping with metrics"
        )
        return None
    twice = [name for name in ABOVE if name in written]
    problems += [f"plan: {name} stands at the top of the file: leave it out of the plan" for name in twice]
    own = {name: value for name, value in written.items() if name not in ABOVE}
    try:
        return plan_from_mapping({**own, **above}, "plan")
    except PlanError as error:
        problems += [
            one if one.split(" ")[0] in ABOVE else f"plan: {one}" for one in error.problems
        ]  # what stands at the top is not the plan's to people
        return None


def _execution(raw: object, problems: list[str]) -> object:
    """How a decision is carried out, with shares and spans as the model has them."""
    if not isinstance(raw, Mapping):
        return raw
    known = tuple(field.name for field in dataclasses.fields(Execution))
    problems += _unknown(raw, known, "execution", "execution: ")
    fields = {name: value for name, value in raw.items() if name in known and value is not None}
    if isinstance(fields.get("rollout"), list):
        fields["rollout"] = [_share(one) for one in fields["rollout"]]
    if "holdback" in fields:
        fields["holdback"] = _share(fields["holdback"])
    if "every" in fields:
        fields["every"] = _span(fields["every"], "execution: every", problems)
    return fields


def _lagging(raw: object, problems: list[str]) -> object:
    if not isinstance(raw, list):
        return raw
    known = tuple(field.name for field in dataclasses.fields(LaggingMetric))
    entries: list[object] = []
    for place, entry in enumerate(raw, start=1):
        if isinstance(entry, Mapping):
            problems += _unknown(entry, known, "a lagging metric", f"lagging {place}: ")
            fields = {name: value for name, value in entry.items() if name in known}
            if "after" in fields:
                fields["after"] = _span(fields["after"], f"lagging {place}: after", problems)
            entries.append(fields)
        else:
            entries.append(entry)
    return entries


def _share(value: object) -> object:
    """A share as people write it (10%); whatever is none stays as it is and is refused later."""
    try:
        return parse_number(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _span(value: object, where: str, problems: list[str]) -> timedelta:
    """A span as people write it (30d): pydantic knows further ways, and takes a number for seconds."""
    try:
        return parse_duration(str(value))
    except ValueError:
        problems.append(f"{where} is {_shown(value)}: {_SPAN}")
        return timedelta(days=1)


def _validated(fields: dict[str, Any], plan: Plan, problems: list[str]) -> Design:
    """The design that the model's types accept; what they refuse becomes a problem and gets its default."""
    try:
        design: Design = ADAPTER.validate_python({**fields, "plan": plan})
    except ValidationError as refused:
        errors = refused.errors(include_url=False)
        problems += dict.fromkeys(_sentence(error) for error in errors)
        bad = {str(error["loc"][0]) for error in errors}
        kept = {name: value for name, value in fields.items() if name not in bad}
        design = ADAPTER.validate_python({**kept, "plan": plan})
    return design


_SPAN = "give a whole number with w, d, h, m or s, such as 30d"
_MENDS = {
    "type": f"use one of {', '.join(get_args(ExperimentType))}",
    "variants": "give each variant a sentence that says what it is",
    "segments": "give a list of attributes of exposures, such as [country]",
    "tags": "give a list of words",
    "exceptions": "give each standard the reason why it is not kept",
    "execution": "give a mapping, such as {rollout: [10%, 100%], every: 1d}",
    "automatic": f"give a list of {', '.join(get_args(Executed))}",
    "rollout": "give a list of shares above 0% and up to 100%, such as [10%, 50%, 100%]",
    "every": _SPAN,
    "after": _SPAN,
    "holdback": "give a share from 0% to below 100%, such as 5%",
    "lagging": "give a list, such as [{metric: d30_retention, after: 30d}]",
    "metric": "give the name of a metric over events",
}


def _sentence(error: Mapping[str, Any]) -> str:
    where = [
        str(part + 1) if isinstance(part, int) else str(part) for part in error["loc"] if part != "[key]"
    ]
    named = [part for part in error["loc"] if part in _MENDS]
    mend = _MENDS[named[-1]] if named else "give a text"
    place = ": ".join(where)
    if error["type"] == "missing":
        return f"{place} is missing: {mend}"
    return f"{place} is {_shown(error['input'])}: {mend}"


def _shown(value: object) -> str:
    if isinstance(value, str):
        return repr(value.strip())
    return str(value).lower() if isinstance(value, bool) else f"{value}"


# What contradicts itself


def _contradictions(design: Design, *, with_plan: bool) -> Iterator[str]:
    yield from _steps(design.execution)
    if with_plan:
        yield from _names(design)
    for name, reason in design.exceptions.items():
        if name not in STANDARDS:
            close = get_close_matches(name, STANDARDS, n=1)
            mend = f"did you mean {close[0]}?" if close else f"use one of {', '.join(STANDARDS)}"
            yield f"exceptions: {name} is no standard: {mend}"
        if not reason.strip():
            yield f"exceptions: {name} has no reason: say why it is not kept"


def _steps(execution: Execution) -> Iterator[str]:
    steps = execution.rollout
    if any(later <= earlier for earlier, later in pairwise(steps)):
        yield "execution: rollout does not grow: write each share larger than the one before"
    if steps and steps[-1] < 1:
        yield f"execution: rollout ends at {_percent(steps[-1])}: end it with 100%; a holdback keeps some back"


def _names(design: Design) -> Iterator[str]:
    plan, described = design.plan, design.variants
    if described and plan.control not in described:
        yield f"variants has no {plan.control}, which is the plan's control: describe it, or set plan: control:"
    if described and plan.split and set(described) != set(plan.split):
        yield (
            f"variants are {', '.join(described)}, and the plan's split has {', '.join(plan.split)}: "
            "name the same in both"
        )
    if design.type == "aa" and plan.purpose != "aa":
        yield "type is aa, and the plan's purpose ab: set plan: purpose: aa"
    if len(set(design.segments)) < len(design.segments):
        yield "segments names one attribute twice: leave one out"
    named = [one.metric for one in design.lagging]
    for name in dict.fromkeys(name for name in named if named.count(name) > 1):
        yield f"lagging names {name} {named.count(name)} times: keep one of them"
