"""Upshot: from hypothesis to decision.

>>> import upshot
>>> frame = {"group": ["control", "treatment"] * 2000, "converted": [0, 0, 1, 1] * 1000}
>>> import pyarrow
>>> upshot.analyze(pyarrow.table(frame), variant="group", metrics=["converted"]).verdict
'KILL'
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from upshot.doors.library import Count, Mean, Proportion, Quantile, Ratio, Result, analyze, plan
    from upshot.errors import DataError, InputError, PlanError, UpshotError
    from upshot.model.metric import Metric
    from upshot.model.plan import Plan

_WHERE = {
    "Count": "doors.library",
    "DataError": "errors",
    "InputError": "errors",
    "Mean": "doors.library",
    "Metric": "model.metric",
    "Plan": "model.plan",
    "PlanError": "errors",
    "Proportion": "doors.library",
    "Quantile": "doors.library",
    "Ratio": "doors.library",
    "Result": "doors.library",
    "UpshotError": "errors",
    "analyze": "doors.library",
    "plan": "doors.library",
}

__all__ = [
    "Count",
    "DataError",
    "InputError",
    "Mean",
    "Metric",
    "Plan",
    "PlanError",
    "Proportion",
    "Quantile",
    "Ratio",
    "Result",
    "UpshotError",
    "analyze",
    "plan",
]


def __getattr__(name: str) -> object:
    """Hand a public name on when it is first asked for: `import upshot` alone costs nothing."""
    if name not in _WHERE:
        raise AttributeError(f"module 'upshot' has no attribute {name!r}")
    value = getattr(import_module(f"upshot.{_WHERE[name]}"), name)
    globals()[name] = value
    return value
