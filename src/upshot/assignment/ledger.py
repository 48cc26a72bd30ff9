"""The ledger: which salts and ranges have been given out, so that re-applying moves nobody it need not.

Shares live in files that people edit; the draws behind them must survive edits. The ledger remembers them by
a path such as ``experiment/EXP-1/phase-1``; it is a value: applying a change gives the next one. What is removed
stays in it: an experiment that returns would else give people another variant within one phase.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from upshot.assignment.ranges import Allocation, Ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Salts and owned ranges by path.

    Attributes:
        salts: path -> salt of a rollout, an experiment's phase, a layer or a holdout.
        traffic: path -> ranges of the enrolled units.
        splits: path -> variant -> ranges.
        layers: layer -> experiment -> ranges that it owns.
    """

    salts: Mapping[str, str] = field(default_factory=dict)
    traffic: Mapping[str, Ranges] = field(default_factory=dict)
    splits: Mapping[str, Allocation] = field(default_factory=dict)
    layers: Mapping[str, Allocation] = field(default_factory=dict)


def experiment_place(experiment: str, phase: int | str) -> str:
    """The path of an experiment's phase.

    >>> experiment_place("EXP-1", 2)
    'experiment/EXP-1/phase-2'
    """
    return f"experiment/{experiment}/phase-{phase}"
