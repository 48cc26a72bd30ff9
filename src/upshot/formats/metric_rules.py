"""What contradicts itself in a metric, as a table: what is wrong, and the sentence that mends it."""

from collections.abc import Callable

from upshot.model.metric import Metric


def metric_problems(metric: Metric) -> list[str]:
    """One sentence with its mend for each contradiction; empty for a metric that can be used."""
    return [sentence.format(m=metric) for wrong, sentence in RULES if wrong(metric)]


def _limits(m: Metric) -> int:
    return sum(value is not None for value in (m.maximum, m.minimum, m.margin))


def _outside(value: float | None) -> bool:
    return value is not None and not 0 < value < 1


RULES: tuple[tuple[Callable[[Metric], bool], str], ...] = (
    (lambda m: m.kind == "ratio" and m.per is None, "a ratio needs its denominator: add per=COLUMN"),
    (
        lambda m: m.per is not None and m.kind != "ratio",
        "per={m.per} makes a ratio, but the kind is {m.kind}: write ratio or leave the kind out",
    ),
    (
        lambda m: m.kind == "quantile" and m.quantile is None,
        "a quantile needs its level: write for example p95, or quantile: 95% in a plan",
    ),
    (
        lambda m: m.quantile is not None and m.kind != "quantile",
        "the level {m.quantile:g} is for a quantile, but the kind is {m.kind}: drop one of them",
    ),
    (
        lambda m: _outside(m.quantile),
        "the quantile {m.quantile:g} is not between 0 and 1: write for example p95",
    ),
    (
        lambda m: m.value is not None and m.kind not in ("proportion", "count"),
        "value={m.value} asks which rows count, but the kind is {m.kind}: use it with proportion or count",
    ),
    (
        lambda m: m.kind == "quantile" and (bool(m.covariates) or m.cap is not None),
        "a quantile takes neither covariate= nor cap=: leave them out",
    ),
    (lambda m: _outside(m.cap), "cap={m.cap:g} is not between 0 and 1: write for example cap=99.9%"),
    (
        lambda m: m.column in m.covariates and m.value is None,
        "the covariate {m.column} is the outcome itself: name a column measured before the experiment",
    ),
    (lambda m: len(set(m.covariates)) < len(m.covariates), "a covariate is named twice: name each once"),
    (
        lambda m: m.role == "secondary" and _limits(m) > 0,
        "max=, min= and margin= mean nothing for a secondary metric: make it a guardrail or leave them out",
    ),
    (
        lambda m: m.role == "primary" and m.has_limit,
        "max= and min= mean nothing for a primary metric: make it a guardrail or leave them out",
    ),
    (
        lambda m: m.role == "guardrail" and _limits(m) > 1,
        "a guardrail has one of max=, min= and margin=: write two guardrails for two, each with its name=",
    ),
    (
        lambda m: m.maximum is not None and m.better == "higher",
        "max= says that lower is better, but higher is asked for: drop one of them",
    ),
    (
        lambda m: m.minimum is not None and m.better == "lower",
        "min= says that higher is better, but lower is asked for: drop one of them",
    ),
    (
        lambda m: m.margin is not None and not 0 <= m.margin < 1,
        "margin={m.margin:g} is not between 0 and 1: write the loss you can bear, such as margin=2%",
    ),
)
