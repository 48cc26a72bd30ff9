"""Lines of scipy that give the same digits: paste them into Python and compare."""

import math
from collections.abc import Iterator, Mapping

from upshot.analysis.estimates import SHARES
from upshot.analysis.evidence import Sample
from upshot.analysis.result import Comparison
from upshot.model.metric import Metric
from upshot.report.findings import Findings


def explain(findings: Findings) -> str:
    """Runnable Python for every comparison: each block ends by printing what Upshot printed beside it.

    Every block starts from the moments that were read (means, variances, counts), so it needs no data.
    """
    return "\n".join(_blocks(findings))


def _blocks(findings: Findings) -> Iterator[str]:
    if findings.analysis.monitoring != "fixed":
        yield "# monitored: p-values and intervals below are those of this look alone, before looks are paid for"
    metrics = {metric.name: metric for metric in findings.evidence.metrics}
    for result in findings.analysis.metrics:
        samples = findings.evidence.total.samples[result.name]
        for one in result.comparisons:
            if one.p_value is None:
                continue
            yield f"\n# {result.name}: {one.variant} against {findings.control} ({one.method})"
            yield from _block(findings, metrics[result.name], samples, one)


def _block(
    findings: Findings, metric: Metric, samples: Mapping[str, Sample], one: Comparison
) -> Iterator[str]:
    control, variant = samples[findings.control], samples[one.variant]
    if control.clusters is not None and variant.clusters is not None:
        yield from _clusters(control, variant)
    elif metric.kind == "quantile":
        yield from _quantile(control, variant)
    elif control.moments.covariates:
        yield from _cuped(samples, findings.control, one.variant)
    elif metric.kind in SHARES and findings.analysis.monitoring == "fixed":
        yield from _proportions(control, variant, one, findings.analysis.alpha)
        return
    else:
        yield from _means(control, variant)
    yield from _welch(findings.analysis.alpha, one)


def _proportions(control: Sample, variant: Sample, one: Comparison, alpha: float) -> Iterator[str]:
    pairs = [(round(s.moments.mean() * s.moments.n), s.moments.n) for s in (variant, control)]
    (x_t, n_t), (x_c, n_c) = pairs
    yield "from math import inf, sqrt"
    yield "from scipy.optimize import brentq, minimize_scalar"
    yield "from scipy.stats import boschloo_exact, fisher_exact, norm"
    yield f"x_t, n_t, x_c, n_c = {x_t}, {n_t}, {x_c}, {n_c}"
    yield "p_t, p_c, pooled = x_t / n_t, x_c / n_c, (x_t + x_c) / (n_t + n_c)"
    yield "std_error = sqrt(pooled * (1 - pooled) * (1 / n_t + 1 / n_c))"
    exact = {"Boschloo": "boschloo_exact(table, n=400)", "Fisher": "fisher_exact(table)"}
    called = next((call for name, call in exact.items() if name in one.method), None)
    if called:
        yield "table = [[x_t, x_c], [n_t - x_t, n_c - x_c]]"
        yield f"p_value = {called}.pvalue"
        yield from _printed(one, ("effect = p_t - p_c", "lift = p_t / p_c - 1" if x_c else ""))
        return
    yield "p_value = 2 * norm.sf(abs(p_t - p_c) / std_error)"
    yield f"z = norm.isf({alpha!r} / 2)  # for one test alone"
    yield "def likelihood(a, b):  # of shares a in treatment, b in control"
    yield "    from scipy.special import xlogy"
    yield "    return -(xlogy(x_t, a) + xlogy(n_t - x_t, 1 - a) + xlogy(x_c, b) + xlogy(n_c - x_c, 1 - b))"
    yield "def mee(d):  # score of 'the difference is d' at the likeliest shares that differ by d"
    yield "    ends, fine = (max(0, -d), min(1, 1 - d)), {'xatol': 1e-13}"
    yield "    b = minimize_scalar(lambda b: likelihood(b + d, b), bounds=ends, method='bounded', options=fine).x"
    yield "    a = b + d"
    yield "    return (p_t - p_c - d) / sqrt(a * (1 - a) / n_t + b * (1 - b) / n_c)"
    yield "low = brentq(lambda d: mee(d) - z, -0.999999, p_t - p_c)"
    yield "high = brentq(lambda d: mee(d) + z, p_t - p_c, 0.999999)"
    yield "interval = [low, high]"
    yield from _printed(one, ("effect = p_t - p_c", "lift = p_t / p_c - 1"), interval=True)


def _means(control: Sample, variant: Sample) -> Iterator[str]:
    yield "from math import inf, sqrt"
    for side, sample in (("c", control), ("t", variant)):
        moments = sample.moments
        if not moments.is_ratio:
            yield f"m_{side}, v_{side}, n_{side} = {moments.mean()!r}, {moments.var()!r} / {moments.n}, {moments.n}"
            continue
        y, d = moments.mean(), moments.mean("denominator")
        yield f"y, d, n_{side} = {y!r}, {d!r}, {moments.n}  # means of numerator and denominator"
        yield f"vy, vd = {moments.var()!r}, {moments.var('denominator')!r}"
        yield f"cov = {moments.cov('outcome', 'denominator')!r}"
        yield f"m_{side} = y / d"
        yield f"v_{side} = (vy - 2 * m_{side} * cov + m_{side} ** 2 * vd) / (n_{side} * d ** 2)  # delta method"
    yield "df_c, df_t = n_c - 1, n_t - 1"


def _cuped(samples: Mapping[str, Sample], control: str, variant: str) -> Iterator[str]:
    yield "from math import inf, sqrt"
    yield "import numpy as np"
    names = list(samples)
    for i, name in enumerate(names):
        moments = samples[name].moments
        yield f"n{i}, m{i} = {moments.n}, np.array({moments.means.tolist()!r})  # {name}"
        yield f"C{i} = np.array({(moments.cross / max(moments.n - 1, 1)).tolist()!r})"
    first = samples[control].moments
    own = 2 if first.is_ratio else 1
    yield f"own, N, M, C = {own}, [{_each('n', names)}], [{_each('m', names)}], [{_each('C', names)}]"
    yield "lin = [np.array([1 / m[1], -m[0] / m[1] ** 2]) if own == 2 else np.array([1.0]) for m in M]"
    yield "xx = sum(c[own:, own:] / n for c, n in zip(C, N))"
    yield "xy = sum(c[own:, :own] @ w / n for c, w, n in zip(C, lin, N))"
    yield "theta = np.linalg.lstsq(xx, xy, rcond=1e-12)[0]"
    yield "centre = sum(m[own:] * n for m, n in zip(M, N)) / sum(N)"
    yield "def arm(i):"
    yield "    plain = M[i][0] / M[i][1] if own == 2 else M[i][0]"
    yield "    w, c = lin[i], C[i]"
    yield "    spread = w @ c[:own, :own] @ w - 2 * theta @ (c[own:, :own] @ w) + theta @ c[own:, own:] @ theta"
    yield "    df = N[i] - 1 - np.count_nonzero(theta)"
    yield "    return plain - theta @ (M[i][own:] - centre), spread * (N[i] - 1) / df / N[i], df"
    yield f"m_c, v_c, df_c = arm({names.index(control)})"
    yield f"m_t, v_t, df_t = arm({names.index(variant)})"


def _each(letter: str, names: list[str]) -> str:
    return ", ".join(f"{letter}{i}" for i in range(len(names)))


def _clusters(control: Sample, variant: Sample) -> Iterator[str]:
    yield "from math import inf, sqrt"
    yield "import numpy as np"
    for side, sample in (("c", control), ("t", variant)):
        totals = sample.clusters
        assert totals is not None
        yield f"y_{side} = np.array({totals.outcomes.tolist()!r})"
        yield f"w_{side} = np.array({totals.weights.tolist()!r})"
    few = control.clusters is not None and variant.clusters is not None
    small = few and control.clusters.n + variant.clusters.n < 40  # type: ignore[union-attr]
    yield "def arm(y, w):"
    yield "    m, W, G = y.sum() / w.sum(), w.sum(), len(w)"
    yield "    e = y - m * w"
    if small:
        yield "    v = (e ** 2 / (1 - w / W)).sum() / W ** 2  # CR2"
        yield "    s = w / W; root = np.sqrt(s)"
        yield "    F = (np.eye(G) - np.outer(root, root)) * (s / np.sqrt(1 - s) / root)[None, :]"
        yield "    K = F.T @ F"
        yield "    return m, v, np.trace(K) ** 2 / (K ** 2).sum()"
    else:
        yield "    return m, (e ** 2).sum() / W ** 2 * G / (G - 1), G - 1  # CR1"
    yield "(m_c, v_c, df_c), (m_t, v_t, df_t) = arm(y_c, w_c), arm(y_t, w_t)"


def _quantile(control: Sample, variant: Sample) -> Iterator[str]:
    yield "from math import inf, sqrt"
    yield "from scipy.stats import norm"
    for side, sample in (("c", control), ("t", variant)):
        found = sample.quantile
        assert found is not None
        yield f"m_{side} = {found.estimate!r}  # the quantile; its outer 95% interval: {found.low!r} to {found.high!r}"
        yield f"v_{side}, df_{side} = (({found.high!r} - {found.low!r}) / (2 * norm.isf(0.025))) ** 2, {found.n - 1}"


def _welch(alpha: float, one: Comparison) -> Iterator[str]:
    yield "from scipy.stats import t as student"
    yield "std_error = sqrt(v_t + v_c)"
    yield "df = (v_t + v_c) ** 2 / (v_t ** 2 / df_t + v_c ** 2 / df_c)"
    yield "p_value = 2 * student.sf(abs(m_t - m_c) / std_error, df)"
    yield f"c = student.isf({alpha!r} / 2, df)  # for one test alone"
    yield "interval = [float(m_t - m_c - c * std_error), float(m_t - m_c + c * std_error)]"
    yield from _printed(one, ("effect = m_t - m_c", "lift = (m_t - m_c) / abs(m_c)"), interval=True)


def _printed(one: Comparison, lines: tuple[str, ...], interval: bool = False) -> Iterator[str]:
    yield from (line for line in lines if line)
    yield f"print('effect', effect)  # {one.effect!r}"
    yield f"print('std_error', std_error)  # {one.std_error!r}"
    if one.lift is not None and math.isfinite(one.lift):
        yield f"print('lift', lift)  # {one.lift!r}"
    yield f"print('p_value', p_value)  # {one.p_value!r}"
    if interval:
        yield f"print('interval', interval)  # {list(one.interval_unadjusted)!r}"
