"""The errors that Upshot raises on purpose.

    UpshotError                  exit 1, HTTP 500   a fault of ours
    ├── InputError               exit 2, HTTP 400   what was given cannot be used: one sentence, one mend
    │   ├── DataError                               a table, column or number that cannot be analysed
    │   └── PlanError                               a plan or ruleset with problems, all of them named at once
    ├── NotFoundError            exit 2, HTTP 404   no such experiment, flag, metric
    ├── ConflictError            exit 2, HTTP 409   somebody else changed it first
    └── UnavailableError         exit 1, HTTP 503   it cannot be taken now: the same again later

A message names the field, the value and the mend. Each door (CLI, web, agents) has one handler that turns
the tree into an exit code or a status; nothing else in the project catches these to print them.
"""

from collections.abc import Sequence
from typing import ClassVar


class UpshotError(Exception):
    """The root: anything that Upshot raises on purpose."""

    exit_code: ClassVar[int] = 1
    status: ClassVar[int] = 500


class InputError(UpshotError):
    """What was given cannot be used; the message says which field, its value, and how to mend it."""

    exit_code = 2
    status = 400


class DataError(InputError):
    """A table, a column or a number that cannot be analysed."""


class PlanError(InputError):
    """A plan, flag or ruleset with one or more problems; all are named at once.

    >>> str(PlanError(["alpha is 2: give a number between 0 and 1"], where="plan.yaml"))
    'plan.yaml: alpha is 2: give a number between 0 and 1'
    """

    def __init__(self, problems: Sequence[str], where: str = "plan") -> None:
        self.problems = tuple(problems)
        self.where = where
        if len(self.problems) == 1:
            text = f"{where}: {self.problems[0]}"
        else:
            listed = "".join(f"\n  - {problem}" for problem in self.problems)
            text = f"{where} has {len(self.problems)} problems:{listed}"
        super().__init__(text)


class NotFoundError(UpshotError):
    """There is no such experiment, flag or metric."""

    exit_code = 2
    status = 404


class ConflictError(UpshotError):
    """Somebody else changed it first; nothing was written."""

    exit_code = 2
    status = 409


class UnavailableError(UpshotError):
    """It cannot be taken now and nothing of it was; the same may be sent again after `retry_after` seconds."""

    status = 503

    def __init__(self, message: str, retry_after: int = 1) -> None:
        self.retry_after = retry_after
        super().__init__(message)
