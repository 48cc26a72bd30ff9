"""What happened to an experiment beside its looks: what people learned, accepted, saw and decided."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from upshot.model.decision import Cause, Situation, Verdict
from upshot.model.experiment import Executed

Held = Literal["waiting", "held", "faded", "reversed", "unclear"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsealing:
    """That somebody saw effects of a sealed experiment before its decision point.

    Attributes:
        at: when. actor: who. reason: why.
    """

    at: datetime
    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A verdict that a person or a policy made final.

    Attributes:
        verdict: what was decided.
        variant: the one that stays: the winner of SHIP, control after KILL; None after ITERATE.
        at, actor: when and by whom. reason: why; of one that follows the recommendation it may be empty.
        recommended, cause: what the last look recommended and why; None where there was no look.
        headline: its sentence. look: its number, in its phase; None where there was none.
        automatic: no person decided it.
        acknowledged: what got worse and was accepted -> the reason.
        rules: the flag's rules that carry it out. done_at: when the last step of a rollout is taken; None: at once.
        edit: what is to be edited by hand where the flag is kept in files; empty: the flag was changed.
    """

    verdict: Executed
    variant: str | None
    at: datetime
    actor: str
    reason: str
    recommended: Verdict | None = None
    cause: Cause | None = None
    headline: str = ""
    look: int | None = None
    automatic: bool = False
    acknowledged: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[str, ...] = ()
    done_at: datetime | None = None
    edit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaggingCheck:
    """An outcome that is looked at again after the decision.

    Attributes:
        metric: over events. due: from this day on it can be looked at.
        held: whether the early win held; ``waiting`` until it was looked at.
        at: when it was looked at. sentence: what it found.
    """

    metric: str
    due: date
    held: Held = "waiting"
    at: datetime | None = None
    sentence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What happened to an experiment.

    Attributes:
        situation: what people know beside the numbers: notes, and failed checks that were accepted with a reason.
        exploratory: what was changed after data were seen, a sentence each; results are exploratory from then on.
        accepted: items of the checklist that failed at the start and were accepted -> the reason.
        unsealed: the first time that somebody broke the seal; None: nobody did.
        unsealings: how often somebody did.
        decision: how it ended; None: it has not.
        lagging: what is looked at again after the decision.
        salts: what units are drawn with since the start, by its place.
        fixed_phase: the first phase that nobody met before the plan was fixed; None: it was not started, but taken up
            by a look at its data.
    """

    situation: Situation = field(default_factory=Situation)
    exploratory: tuple[str, ...] = ()
    accepted: Mapping[str, str] = field(default_factory=dict)
    unsealed: Unsealing | None = None
    unsealings: int = 0
    decision: Decision | None = None
    lagging: tuple[LaggingCheck, ...] = ()
    salts: Mapping[str, str] = field(default_factory=dict)
    fixed_phase: int | None = None
