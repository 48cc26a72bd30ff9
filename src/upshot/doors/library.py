"""`import upshot`: the same analysis from a notebook, with any dataframe or Ibis table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from upshot.analysis.question import Question
from upshot.errors import InputError
from upshot.formats.metric_rules import metric_problems
from upshot.formats.metric_text import parse_metric
from upshot.formats.plans import read_plan
from upshot.model.decision import Note, Situation
from upshot.model.metric import Better, Kind, Metric
from upshot.model.plan import Monitoring, Plan
from upshot.report.findings import Findings
from upshot.services.analysis import Request, analyze_table, check_plan, findings_to_dict
from upshot.services.planning import Answer, Ask, plan_experiment
from upshot.stats.design import Design
from upshot.warehouse.sources import open_table


@dataclass(frozen=True, slots=True)
class Result:
    """What `analyze` found; a notebook shows it as a table and a chart.

    Attributes:
        findings: plan, evidence, analysis and verdict as values.
    """

    findings: Findings

    @property
    def verdict(self) -> str:
        """SHIP, KILL, ITERATE, EXTEND, DISCUSS, INVESTIGATE or CONTINUE."""
        return self.findings.verdict.verdict

    @property
    def headline(self) -> str:
        """The verdict in one plain sentence."""
        return self.findings.verdict.headline

    def to_dict(self) -> dict[str, Any]:
        """Everything, as the JSON contract writes it."""
        return findings_to_dict(self.findings)

    def to_html(self) -> str:
        """The whole report as one self-contained page."""
        from upshot.report.page import html

        return html(self.findings)

    def to_markdown(self) -> str:
        """The document of the documentation standard."""
        from upshot.report.document import markdown

        return markdown(self.findings)

    def explain(self) -> str:
        """Lines of scipy that give the same digits."""
        from upshot.report.explain import explain

        return explain(self.findings)

    def _repr_html_(self) -> str:
        from upshot.report.notebook import repr_html

        return repr_html(self.findings)

    def __str__(self) -> str:
        from io import StringIO

        from rich.console import Console

        from upshot.report.terminal import Summary

        text = StringIO()
        Console(file=text, highlight=False, width=100).print(Summary(self.findings))
        return text.getvalue()

    def __repr__(self) -> str:
        return f"<upshot.Result {self.verdict}: {self.headline}>"


def analyze(
    data: Any,
    *,
    variant: str,
    metrics: Sequence[Metric | str] = (),
    secondary: Sequence[Metric | str] = (),
    guardrails: Sequence[Metric | str] = (),
    unit: str | None = None,
    control: str = "control",
    segments: Sequence[str] = (),
    split: Mapping[str, float] | None = None,
    plan: Plan | str | Path | None = None,
    where: str | None = None,
    time: str | None = None,
    cluster: str | None = None,
    count: str | None = None,
    qualitative: str | None = None,
    **settings: Any,
) -> Result:
    """Analyse an experiment.

    Args:
        data: a pandas, polars or pyarrow frame, an Ibis table, a path or an Ibis URL.
        variant: the column that says which variant a row belongs to.
        metrics: primary metrics, as values (`Proportion`, `Mean`, ...) or as the command writes them.
        secondary, guardrails: metrics that inform and that protect.
        unit: the column of what was randomised; None: each row is a unit.
        control, segments, split, where, time, cluster, count: as the command's options.
        plan: a `Plan` or the path of one; then it has the metrics.
        qualitative: ``positive`` or ``negative``.
        settings: fields of `Plan`, such as alpha, monitoring, minimum_effect.

    Raises:
        upshot.InputError: something given cannot be used; the message names it and the mend.
    """
    chosen = _plan(plan, metrics, secondary, guardrails, control, split, settings)
    question = Question(
        variant=variant, control=chosen.control, metrics=chosen.metrics, unit=unit, segments=tuple(segments),
        time=time, cluster=cluster, count=count, where=where, split=chosen.split, histograms=True,
    )  # fmt: skip
    notes = (Note(sign=_sign(qualitative), text="given in the call"),) if qualitative else ()
    request = Request(
        plan=chosen, question=question, situation=Situation(notes=notes), planned=plan is not None
    )
    return Result(analyze_table(open_table(data), request))


def _sign(text: str) -> Any:
    if text not in ("positive", "negative"):
        raise InputError(f"qualitative is {text!r}: give positive or negative")
    return text


def _plan(
    plan: Plan | str | Path | None,
    metrics: Sequence[Metric | str],
    secondary: Sequence[Metric | str],
    guardrails: Sequence[Metric | str],
    control: str,
    split: Mapping[str, float] | None,
    settings: Mapping[str, Any],
) -> Plan:
    if plan is not None:
        if metrics or secondary or guardrails or split or settings:
            raise InputError(
                "plan: it has metrics, split and settings of its own: leave those out of the call"
            )
        return plan if isinstance(plan, Plan) else read_plan(plan)
    roles = (("primary", metrics), ("secondary", secondary), ("guardrail", guardrails))
    found = tuple(_metric(one, role) for role, given in roles for one in given)
    if not metrics:
        raise InputError("metrics: name at least one outcome, such as metrics=['converted']")
    try:
        made = Plan(
            **{"final": True, **settings, "metrics": found, "control": control, "split": dict(split or {})}
        )
    except TypeError as error:
        raise InputError(
            f"settings: {str(error).removeprefix('Plan.__init__() ')}; they are fields of Plan"
        ) from None
    return check_plan(made, "analyze")


def _metric(one: Metric | str, role: Any) -> Metric:
    if isinstance(one, str):
        return parse_metric(one, role)
    metric = replace(one, role=role)
    problems = metric_problems(metric)
    if problems:
        raise InputError(f"metric {metric.name}: {'; '.join(problems)}")
    return metric


def plan(
    baseline: float,
    *,
    effect: float = 0.05,
    kind: Kind = "proportion",
    std: float | None = None,
    split: Mapping[str, float] | None = None,
    weekly: float | None = None,
    by: date | None = None,
    today: date | None = None,
    monitoring: Monitoring = "group_sequential",
    ship_threshold: float | None = None,
    **design: Any,
) -> Answer:
    """Plan an experiment: units, days, the smallest effect in time, and the chance of each verdict.

    Args:
        baseline: what control will have: a share, a mean, or sum over sum.
        effect: the smallest relative effect that matters. std: of one unit, for means, counts and ratios.
        split: weights by variant, control first; None: control and treatment alike.
        weekly: new units a week, over all variants. by: the day by which it must be decided.
        today: where counting starts; None: today.
        ship_threshold: relative; None: half of ``effect``.
        design: further fields of `upshot.stats.design.Design`, such as alpha, power, r_squared, better.

    Raises:
        upshot.InputError: something given cannot be planned; the message names it and the mend.

    >>> plan(0.10, monitoring="fixed").units
    {'control': 57760, 'treatment': 57760}
    """
    names = dict(split or {"control": 1.0, "treatment": 1.0})
    try:
        expected = Design(
            **{"kind": kind, "baseline": baseline, "std": std, "effect": effect, "monitoring": monitoring,
               "weights": tuple(names.values())} | design
        )  # fmt: skip
    except TypeError as error:
        raise InputError(
            f"plan: {str(error).removeprefix('Design.__init__() ')}; give fields of Design"
        ) from None
    return plan_experiment(
        Ask(
            design=expected,
            ship_threshold=effect / 2 if ship_threshold is None else ship_threshold,
            names=tuple(names),
            today=today or date.today(),  # noqa: DTZ011  -- the calendar day where the person is
            weekly=weekly,
            by=by,
        )
    )


def _made(column: str, kind: Kind, **fields: Any) -> Metric:
    covariate = fields.pop("covariate", None)
    names = (covariate,) if isinstance(covariate, str) else tuple(covariate or ())
    return Metric(
        name=fields.pop("name", None) or column, column=column, kind=kind, covariates=names, **fields
    )


def Proportion(column: str, *, value: str | None = None, better: Better = "higher", **more: Any) -> Metric:
    """The share of units with the outcome; ``value``: with a row where the column is this."""
    return _made(column, "proportion", value=value, better=better, **more)


def Mean(
    column: str, *, covariate: str | Sequence[str] | None = None, better: Better = "higher", **more: Any
) -> Metric:
    """The mean per unit of a number, with covariates from before the start if there are any."""
    return _made(column, "mean", covariate=covariate, better=better, **more)


def Count(
    column: str, *, covariate: str | Sequence[str] | None = None, better: Better = "higher", **more: Any
) -> Metric:
    """The mean per unit of a count."""
    return _made(column, "count", covariate=covariate, better=better, **more)


def Ratio(column: str, per: str, *, better: Better = "higher", **more: Any) -> Metric:
    """The sum of one column over the sum of another; ``per='rows'`` averages rows."""
    return _made(column, "ratio", per=per, better=better, **more)


def Quantile(column: str, level: float, *, better: Better = "lower", **more: Any) -> Metric:
    """A quantile of a column, such as 0.95 for p95."""
    return _made(column, "quantile", quantile=level, better=better, **more)
