"""The short form of a metric: a column, then options after commas (``revenue,mean,cap=99.9%``)."""

import csv
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from upshot.errors import InputError
from upshot.formats.metric_rules import metric_problems
from upshot.formats.number import parse_number
from upshot.model.metric import Metric, Role

KINDS = ("proportion", "mean", "count", "ratio", "retention", "funnel")
DIRECTIONS = ("higher", "lower")
KEYS = {
    "value": "value",
    "per": "per",
    "name": "name",
    "covariate": "covariates",
    "cap": "cap",
    "max": "maximum",
    "min": "minimum",
    "margin": "margin",
}
NUMBERS = {"cap", "max", "min", "margin"}
QUANTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?)")


def parse_metric(text: str, role: Role = "primary") -> Metric:
    """The metric that a short form means.

    Args:
        text: a column (quoted if it has a comma), then options after commas: kind (``proportion``, ``mean``,
            ``count``, ``ratio``, ``p95``), ``lower`` or ``higher``, ``value=``, ``per=``, ``covariate=``
            (again for more), ``cap=``, ``name=``; for guardrails ``max=``, ``min=`` or ``margin=``.
        role: what the metric is for.

    Raises:
        InputError: one sentence with the option and its mend.

    >>> parse_metric("revenue,mean,covariate=revenue_before,cap=99.9%").cap
    0.999
    >>> parse_metric("crashed,max=0.1%", "guardrail").better
    'lower'
    """
    metric = Metric(**complete(metric_fields(text, role)))
    problems = metric_problems(metric)
    if problems:
        raise InputError(f"the metric {text!r} cannot be used: {problems[0]}")
    return metric


def metric_fields(text: str, role: Role) -> dict[str, Any]:
    """The fields that a short form names, none completed."""
    column, *options = (part.strip() for part in _split(text))
    if not column or "=" in column:
        raise InputError(
            f"the metric {text!r} does not begin with a column: write for example converted,lower"
        )
    fields: dict[str, Any] = {"name": column, "column": column, "role": role}
    for option in options:
        _add(fields, option, text)
    return fields


def _split(text: str) -> list[str]:
    try:
        return next(csv.reader([text], skipinitialspace=True, strict=True), []) or [""]
    except csv.Error as error:
        raise InputError(f"the metric {text!r} has an open quotation mark: close it") from error


def _add(fields: dict[str, Any], option: str, text: str) -> None:
    """Put one option into the fields; each may be given once, covariates excepted."""
    key, equals, value = (part.strip() for part in option.partition("="))
    if equals:
        _add_valued(fields, key, value, text)
    elif option in KINDS:
        _put(fields, "kind", option, text)
    elif option in DIRECTIONS:
        _put(fields, "better", option, text)
    elif match := QUANTILE.fullmatch(option):
        _put(fields, "kind", "quantile", text)
        fields["quantile"] = round(float(match[1]) / 100, 12)
    else:
        raise InputError(f"the metric {text!r} has an unknown option {option!r}: {_mend(option)}")


def _add_valued(fields: dict[str, Any], key: str, value: str, text: str) -> None:
    if key not in KEYS:
        raise InputError(f"the metric {text!r} has an unknown option {key + '='!r}: {_mend(key)}")
    if not value:
        raise InputError(f"the metric {text!r} gives {key}= nothing: write {key}=... or leave it out")
    if key == "covariate":
        fields["covariates"] = (*fields.get("covariates", ()), value)
    elif key == "name":
        fields["name"] = value
    else:
        _put(fields, KEYS[key], _number(key, value, text) if key in NUMBERS else value, text)


def _put(fields: dict[str, Any], field: str, value: object, text: str) -> None:
    if field in fields:
        raise InputError(
            f"the metric {text!r} gives its {field} twice, {fields[field]!r} and {value!r}: keep one of them"
        )
    fields[field] = value


def _number(key: str, value: str, text: str) -> float:
    try:
        return parse_number(value)
    except ValueError:
        raise InputError(
            f"the metric {text!r} has {key}={value}, which is no number: write for example {key}=2%"
        ) from None


def _mend(option: str) -> str:
    choices = [*KINDS, *DIRECTIONS, "p95", *(f"{key}=" for key in KEYS)]
    close = get_close_matches(option, choices, n=1)
    return f"did you mean {close[0]}?" if close else f"use one of {', '.join(choices)}"


def complete(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in what follows from what was given: the name, the kind, the direction of a limit, margin 0."""
    full = dict(fields)
    if "column" in full:
        full.setdefault("name", full["column"])
    if full.get("kind") is None:
        if full.get("per") is not None:
            full["kind"] = "ratio"
        elif full.get("quantile") is not None:
            full["kind"] = "quantile"
        elif full.get("value") is not None:
            full["kind"] = "proportion"
    if full.get("maximum") is not None:
        full.setdefault("better", "lower")
    if full.get("role") == "guardrail" and all(
        full.get(key) is None for key in ("maximum", "minimum", "margin")
    ):
        full["margin"] = 0.0
    return full
