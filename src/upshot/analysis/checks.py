"""Checks: can these data be believed? Each has a written threshold, its evidence, and what to do.

Thresholds: *fail* at p < 0.001 (divided by the number of questions a check asks), so that all checks together
fail at most 1% of sound experiments; *warn* where a person should look and no verdict depends on it.
"""

import math
from collections.abc import Mapping, Sequence

from upshot.analysis.evidence import Evidence, Sample, Slice
from upshot.analysis.outliers import outlier_check
from upshot.analysis.phrases import percent, units
from upshot.analysis.result import Check, Look
from upshot.model.metric import Metric
from upshot.model.plan import Plan
from upshot.stats import sample_ratio
from upshot.stats.effect import effect_of
from upshot.stats.fixed import p_value
from upshot.stats.moments import Moments
from upshot.stats.proportions import Counts, two_proportions

FAIL = 0.001
"""The p-value below which a check fails."""
UNEVEN = 1.5
"""An undeclared split whose largest variant has this many times the units of the smallest was meant so."""
CONFLICT_SHARE, CONFLICT_UNITS = 0.01, 10
"""Conflicting units fail above both; below they warn."""
FEW_CLUSTERS = 10


def check_all(plan: Plan, evidence: Evidence, looks: Sequence[Look], final: bool) -> tuple[Check, ...]:
    """All checks in a fixed order.

    Args:
        looks: those before this one; the sequential sample ratio is read over all of them.
        final: whether this is the last look, where chi-square takes the place of the sequential test.
    """
    return (
        _sample_ratio(plan, evidence, looks, final),
        _conflicts(evidence),
        _duplicates(evidence),
        _missing(evidence),
        _unseen(evidence),
        outlier_check(plan, evidence),
        _pre_period(evidence),
        _sample_size(plan, evidence),
    )


def _sample_ratio(plan: Plan, evidence: Evidence, looks: Sequence[Look], final: bool) -> Check:
    counts = {name: evidence.total.units.get(name, 0) for name in evidence.variants}
    weights = _weights(plan, evidence)
    if not plan.split and not _even(counts):
        return _asked(counts)
    running = not final and bool(looks or not plan.final)
    if running:
        history = [{name: look.units.get(name, 0) for name in counts} for look in looks] + [counts]
        result = sample_ratio.sequential(history, weights)
    else:
        result = sample_ratio.chi_square(counts, weights)
    p = result.p_value
    said = ", ".join(f"{name} {counts[name]:,}" for name in counts)
    if result.unplanned:
        return Check(
            name="sample_ratio", status="fail", p_value=p,
            detail=f"{said}: {units(result.unplanned)} in variants that the split gives weight 0",
            mend="nobody should be there: check the split that was declared and the one that is served",
        )  # fmt: skip
    if p is None:
        return Check(name="sample_ratio", status="skipped", detail=result.reason)
    wanted = " : ".join(_weight(weights[name]) for name in counts)
    how = "sequential test" if running else "exact test" if result.method == "exact" else "chi-square"
    detail = f"{said} for a split of {wanted} ({how} p {_p(p)})"
    if p < FAIL:
        return Check(
            name="sample_ratio", status="fail", p_value=p, detail=detail + _reach_of_the_missing(evidence, result),
            mend="find what loses or adds units before you read any effect: redirects, bots, late logging, filters",
            numbers={name: counts[name] for name in counts},
        )  # fmt: skip
    return _by_part(evidence, weights, detail, p)


def _weights(plan: Plan, evidence: Evidence) -> dict[str, float]:
    return {name: plan.split.get(name, 0.0) if plan.split else 1.0 for name in evidence.variants}


def _weight(weight: float) -> str:
    return f"{weight:g}"


def _even(counts: Mapping[str, int]) -> bool:
    least = min(counts.values(), default=0)
    return least == 0 or max(counts.values()) < UNEVEN * least


def _asked(counts: Mapping[str, int]) -> Check:
    said = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    return Check(
        name="sample_ratio", status="warn", detail=f"{said}: no split was declared and this is far from even",
        mend="declare what was meant, such as --split " + ",".join(f"{name}=1" for name in counts),
    )  # fmt: skip


def _by_part(evidence: Evidence, weights: Mapping[str, float], detail: str, p: float) -> Check:
    """A split that is right in all and wrong within: some day or segment is off, others make up for it."""
    parts: dict[str, Slice] = {f"on {day}": part for day, part in evidence.days.items()}
    for column, values in evidence.segments.items():
        parts |= {f"where {column} is {value}": part for value, part in values.items()}
    ps = {}
    for name, part in parts.items():
        counts = {variant: part.units.get(variant, 0) for variant in weights}
        if sum(counts.values()) >= 20:
            ps[name] = sample_ratio.chi_square(counts, weights).p_value or 1.0
    worst = min(ps, key=lambda name: ps[name], default=None)
    if worst is None or ps[worst] * len(ps) >= FAIL:
        return Check(name="sample_ratio", status="pass", p_value=p, detail=detail)
    seen = ", ".join(f"{name} {parts[worst].units.get(name, 0):,}" for name in weights)
    return Check(
        name="sample_ratio", status="warn", p_value=p,
        detail=f"{detail}; but {worst} it is {seen} (p {_p(ps[worst])}, worst of {len(ps)})",
        mend="the split changed or data are missing there: compare within such parts, or leave them out by --where",
    )  # fmt: skip


def segment_checks(plan: Plan, evidence: Evidence) -> dict[tuple[str, str], Check]:
    """The sample ratio within each segment, corrected for how many there are."""
    places = {
        (column, value): part
        for column, values in evidence.segments.items()
        for value, part in values.items()
    }
    weights = _weights(plan, evidence)
    whole = {name: evidence.total.units.get(name, 0) for name in evidence.variants}
    asked = not plan.split and not _even(whole)
    if asked:  # the split as it is in all: segments are asked whether they differ from it
        weights = {name: float(count) for name, count in whole.items()}
    return {place: _segment_ratio(part, weights, len(places)) for place, part in places.items()}


def _segment_ratio(part: Slice, weights: Mapping[str, float], places: int) -> Check:
    counts = {name: part.units.get(name, 0) for name in weights}
    result = sample_ratio.chi_square(counts, weights)
    p = result.p_value
    said = ", ".join(f"{name} {count:,}" for name, count in counts.items())
    if p is None:
        return Check(name="sample_ratio", status="skipped", detail=result.reason)
    failed = p * places < FAIL
    return Check(
        name="sample_ratio", status="fail" if failed else "pass", p_value=p, detail=f"{said} (p {_p(p)})",
        mend="units are lost or added in this segment: read no effect in it" if failed else "",
    )  # fmt: skip


def _reach_of_the_missing(evidence: Evidence, result: sample_ratio.SampleRatio) -> str:
    """How far the units that are missing from the short variants could move the first share."""
    share = next(
        (
            m
            for m in evidence.metrics
            if m.role == "primary" and m.kind in ("proportion", "retention", "funnel")
        ),
        None,
    )
    units_ = evidence.total.units
    missing = _missing_units(evidence, result.expected)
    if share is None or not missing:
        return ""
    samples = evidence.total.samples[share.name]
    control, *others = evidence.variants
    ends = []
    for name in others:
        for extra in (0.0, 1.0):
            means = {
                side: _with_extra(samples[side], missing.get(side, 0), extra if side == name else 1 - extra)
                for side in (control, name)
            }
            if means[control]:
                ends.append(means[name] / means[control] - 1)
    if not ends or not sum(units_.values()):
        return ""
    low, high = min(ends), max(ends)
    stand = "would keep its sign" if low * high > 0 else "could be of either sign"
    lost = ", ".join(f"{name} lacks about {count:,}" for name, count in missing.items())
    return f"; {lost}: with them the lift of {share.name} lies between {percent(low)} and {percent(high)}, it {stand}"


def _missing_units(evidence: Evidence, expected: Mapping[str, float]) -> dict[str, int]:
    """Units that would bring every variant up to the fullest one's share."""
    observed = evidence.total.units
    scale = max((observed.get(n, 0) / e for n, e in expected.items() if e > 0), default=0.0)
    lacking = {name: round(e * scale) - observed.get(name, 0) for name, e in expected.items()}
    return {name: count for name, count in lacking.items() if count > 0}


def _with_extra(sample: Sample, extra: int, value: float) -> float:
    n = sample.moments.n + extra
    return (sample.moments.n * sample.moments.mean() + extra * value) / n if n else 0.0


def _conflicts(evidence: Evidence) -> Check:
    if evidence.unit == "row" or evidence.counts:
        return Check(name="exposure_conflicts", status="skipped", detail="each row is a unit of its own")
    whole = sum(evidence.total.units.values()) + evidence.conflicts
    if not evidence.conflicts:
        return Check(
            name="exposure_conflicts", status="pass", detail=f"no {evidence.unit} is in two variants"
        )
    share = evidence.conflicts / whole
    serious = share > CONFLICT_SHARE and evidence.conflicts >= CONFLICT_UNITS
    return Check(
        name="exposure_conflicts",
        status="fail" if serious else "warn",
        detail=f"{units(evidence.conflicts)} of {whole:,} ({percent(share)}) in several variants, left out",
        mend="find why they moved: an unstable id, a changed split, two devices; or choose rows by --where",
        numbers={"units": evidence.conflicts, "share": share},
    )


def _duplicates(evidence: Evidence) -> Check:
    if evidence.duplicate_rows is None:
        return Check(
            name="duplicate_rows",
            status="skipped",
            detail="without a unit column equal rows may be different units",
        )
    if not evidence.duplicate_rows:
        return Check(
            name="duplicate_rows", status="pass", detail=f"no two of {evidence.rows:,} rows are equal"
        )
    return Check(
        name="duplicate_rows", status="warn", numbers={"rows": evidence.duplicate_rows},
        detail=f"{units(evidence.duplicate_rows, 'row')} of {evidence.rows:,} repeat another; they were counted",
        mend="if an export wrote them twice, remove them: sums count them twice",
    )  # fmt: skip


def _missing(evidence: Evidence) -> Check:
    worst: tuple[float, Metric] | None = None
    total = 0
    for metric in evidence.metrics:
        samples = evidence.total.samples.get(metric.name, {})
        total += sum(sample.missing for sample in samples.values())
        p = _missing_p(samples, evidence.control)
        if p is not None and (worst is None or p < worst[0]):
            worst = (p, metric)
    if not total:
        return Check(name="missing_outcomes", status="pass", detail="every unit has every outcome")
    p, metric = worst if worst is not None else (1.0, evidence.metrics[0])
    samples = evidence.total.samples[metric.name]
    said = ", ".join(f"{name} {percent(_missing_share(one))}" for name, one in samples.items())
    failed = p * len(evidence.metrics) * max(len(evidence.variants) - 1, 1) < FAIL
    return Check(
        name="missing_outcomes", status="fail" if failed else "warn", p_value=p if worst else None,
        detail=f"{metric.name} is missing for {said} of units, which are left out" + (f" (p {_p(p)})" if worst else ""),
        mend="who lacks an outcome differs by variant, so what is left cannot be compared" if failed
        else "check that missing means not measured; where it means 0, fill in 0",
    )  # fmt: skip


def _missing_share(sample: Sample) -> float:
    whole = sample.moments.n + sample.missing
    return sample.missing / whole if whole else 0.0


def _missing_p(samples: Mapping[str, Sample], control: str) -> float | None:
    """The least p over variants of "as many are missing as in control"."""
    if control not in samples:
        return None
    base = samples[control]
    found = []
    for name, sample in samples.items():
        sizes = (base.moments.n + base.missing, sample.moments.n + sample.missing)
        if name == control or not all(sizes) or not base.missing + sample.missing:
            continue
        test = two_proportions(Counts(base.missing, sizes[0], sample.missing, sizes[1]))
        found.append(1.0 if test is None else test.p_value)
    return min(found, default=None)


def _unseen(evidence: Evidence) -> Check:
    if evidence.unseen:
        return Check(
            name="unseen_variants", status="fail", detail=f"no unit is in {', '.join(evidence.unseen)}",
            mend="check the variant's name and that it is served and logged",
        )  # fmt: skip
    if evidence.unknown:
        said = ", ".join(f"{name} ({units(count)})" for name, count in evidence.unknown.items())
        return Check(
            name="unseen_variants", status="warn", detail=f"not declared, left out: {said}",
            mend="declare them in the plan's split if they belong to the experiment",
        )  # fmt: skip
    return Check(name="unseen_variants", status="pass", detail="every declared variant has units")


def _pre_period(evidence: Evidence) -> Check:
    ps: dict[str, float] = {}
    for name, by_variant in evidence.pre_period.items():
        control = by_variant.get(evidence.control)
        for variant, moments in by_variant.items():
            if control is not None and variant != evidence.control:
                p = _welch(control, moments)
                if p is not None:
                    ps[f"{name} ({variant})"] = p
    if not ps:
        return Check(
            name="pre_period", status="skipped", detail="no covariate from before the start was given"
        )
    worst = min(ps, key=lambda name: ps[name])
    failed = ps[worst] * len(ps) < FAIL
    found = "variants differ" if failed else "no difference"
    return Check(
        name="pre_period", status="fail" if failed else "pass", p_value=ps[worst],
        detail=f"{found} before the start: {worst} p {_p(ps[worst])}, least of {len(ps)}",
        mend="check assignment, carry-over, and that the covariate was measured before exposure"
        if failed else "",
    )  # fmt: skip


def _welch(control: Moments, treatment: Moments) -> float | None:
    effect = effect_of(control, treatment)
    if effect.why_not():
        same = control.n and treatment.n and math.isclose(control.mean(), treatment.mean())
        return 1.0 if same else None
    return p_value(effect)


def _sample_size(plan: Plan, evidence: Evidence) -> Check:
    counts = {name: evidence.total.units.get(name, 0) for name in evidence.variants}
    least = min(counts, key=lambda name: counts[name])
    if evidence.clusters is not None:
        groups = {name: evidence.clusters.get(name, 0) for name in evidence.variants}
        few = min(groups, key=lambda name: groups[name])
        if groups[few] < FEW_CLUSTERS:
            return Check(
                name="sample_size", status="fail" if groups[few] < 2 else "warn",
                detail=f"{few} has {units(groups[few], 'cluster')}: their variance is hardly known",
                mend="randomise more clusters, or compare within matched pairs",
            )  # fmt: skip
        return Check(
            name="sample_size", status="pass", detail=f"{groups[few]:,} clusters in the smallest variant"
        )
    if counts[least] < 2:
        return Check(
            name="sample_size", status="fail", detail=f"{least} has {units(counts[least])}: at least 2 are needed",
            mend="collect more units before comparing",
        )  # fmt: skip
    if counts[least] < plan.floor:
        return Check(
            name="sample_size", status="warn",
            detail=f"{least} has {units(counts[least])}, below the floor of {plan.floor:,}",
            mend="read wide intervals as what they are; `upshot plan` gives the size that is really needed",
        )  # fmt: skip
    return Check(name="sample_size", status="pass", detail=f"{units(counts[least])} in the smallest variant")


def _p(p: float) -> str:
    return "< 0.0001" if p < 0.0001 else f"{p:.2g}"
