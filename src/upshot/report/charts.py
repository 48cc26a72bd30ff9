"""Charts as Vega-Lite specifications: plain values, drawn to SVG by `to_svg` or in a browser by vega-embed.

Colours are those of a light page; `to_svg` replaces each by a CSS variable with that colour as its fallback,
so that one picture follows the page into the dark and onto paper.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from xml.etree import ElementTree

from upshot.analysis.evidence import Histogram
from upshot.report import words
from upshot.report.cohort_views import TrendView
from upshot.report.rows import Row
from upshot.report.timeline import Point

Spec = dict[str, Any]

SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"
INK, MUTED, RULE, BAR = "#1d2430", "#667085", "#d5d9e0", "#8a5a00"
SERIES = ("#6b7280", "#1f5fd1", "#b3470f", "#7a3db8", "#0b7a75", "#a3246b")
VARIABLES = {INK: "ink", MUTED: "muted", RULE: "rule", BAR: "bar"} | {
    colour: f"series-{i}" for i, colour in enumerate(SERIES)
}
WIDTH, HEIGHT = 340, 190
COUNTED = "abs(datum.value) < 10000 ? format(datum.value, ',~f') : format(datum.value, '~s')"
SIGNED = "datum.value ? format(datum.value, '+~%') : '0'"


def to_svg(spec: Spec) -> str:
    """Draw a specification: an SVG element without script, style or outside reference, with hover titles."""
    import vl_convert  # only those who draw pay for it

    clean = _drawable(spec)
    drawn = vl_convert.vegalite_to_svg(clean, vl_version="6.4", allowed_base_urls=[])
    return _adapt(drawn, str(clean.get("description", "")))


def _drawable(part: Any) -> Any:
    """The same without characters that XML cannot hold: one in a label would abort the whole process."""
    if isinstance(part, str):
        return words.plain(part)
    if isinstance(part, Mapping):
        return {key: _drawable(value) for key, value in part.items()}
    if isinstance(part, Sequence):
        return [_drawable(value) for value in part]
    return part


def _adapt(svg: str, description: str) -> str:
    """Scale with the page, follow its colours, and say every point's numbers on hover."""
    ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
    root = ElementTree.fromstring(svg)  # noqa: S314 - drawn above, from our own specification
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", description)
    for element in list(root.iter()):
        if element.get("aria-roledescription") == "point":
            title = ElementTree.Element("{http://www.w3.org/2000/svg}title")
            title.text = element.get("aria-label")
            element.insert(0, title)
    text = ElementTree.tostring(root, encoding="unicode")
    return re.sub("|".join(VARIABLES), lambda m: f"var(--{VARIABLES[m[0]]}, {m[0]})", text)


def lift_intervals(rows: Sequence[Row]) -> Spec:
    """Each comparison's lift with its interval, one below another; a missing end reaches the edge."""
    drawn = [row for row in rows if row.estimate is not None]
    known = [end for row in drawn for end in (row.estimate, *row.bounds) if end is not None]
    low, high = min([*known, 0.0]), max([*known, 0.0])
    several = len({row.variant for row in drawn}) > 1
    values = [
        {
            "name": f"{row.metric} · {row.variant}" if several else row.metric,
            "lift": row.estimate,
            "low": low if row.bounds[0] is None else row.bounds[0],
            "high": high if row.bounds[1] is None else row.bounds[1],
            "says": f"{row.metric}, {row.variant}: {row.lift} {row.interval}, {row.word}",
        }
        for row in drawn
    ]
    y = {
        "field": "name",
        "type": "nominal",
        "sort": None,
        "axis": {"title": None, "domain": False, "ticks": False},
    }
    both = {"y": y, "description": {"field": "says"}}
    interval = {"mark": {"type": "rule", "strokeWidth": 2, "color": SERIES[1]},
                "encoding": both | {"x": _lift_axis("low"), "x2": {"field": "high"}}}  # fmt: skip
    point = {"mark": {"type": "point", "filled": True, "size": 60, "color": SERIES[1], "opacity": 1},
             "encoding": both | {"x": _lift_axis("lift")}}  # fmt: skip
    layers = [_line_at("x", 0.0), interval, point]
    return _spec("Lift of every metric with its interval", values, layers, height=28 * max(1, len(values)))


def cumulative_lift(points: Sequence[Point], threshold: float | None, name: str) -> Spec:
    """Lift of everybody exposed so far, by day, with the band that holds at all days at once."""
    lowest, highest = _window(points)
    values = [_framed(point, lowest, highest) for point in points]
    x = _day_axis(len(values))
    hover = {"description": {"field": "says"}}
    y_axis = _lift_axis("lift") | {"scale": {"domain": [lowest, highest], "nice": False}}
    band = {"mark": {"type": "area", "color": SERIES[1], "opacity": 0.16},
            "encoding": {"x": x, "y": y_axis | {"field": "low"}, "y2": {"field": "high"}}}  # fmt: skip
    line = {"mark": {"type": "line", "color": SERIES[1], "strokeWidth": 2}, "encoding": {"x": x, "y": y_axis}}
    dots = {"mark": {"type": "point", "filled": True, "size": 18, "color": SERIES[1], "opacity": 1},
            "encoding": {"x": x, "y": y_axis} | hover}  # fmt: skip
    bar = (
        [_line_at("y", threshold, dashed=True)]
        if threshold is not None and lowest < threshold < highest
        else []
    )
    return _spec(f"Cumulative lift of {name} by day", values, [_line_at("y", 0.0), *bar, band, line, dots])


def _window(points: Sequence[Point]) -> tuple[float, float]:
    """From where the band lies after the first third, with room: the first days would dwarf all others."""
    late = [end for p in points[len(points) // 3 :] for end in (p.lift, p.low, p.high) if end is not None]
    low, high = min([*late, 0.0]), max([*late, 0.0])
    room = 0.12 * (high - low) or 0.01
    return low - room, high + room


def _framed(point: Point, lowest: float, highest: float) -> dict[str, Any]:
    """A day within the window: its band ends at the frame, its lift is inside or not drawn."""
    low = lowest if point.low is None else min(max(point.low, lowest), highest)
    high = highest if point.high is None else min(max(point.high, lowest), highest)
    lift = point.lift if point.lift is not None and lowest <= point.lift <= highest else None
    return {"day": point.day.isoformat(), "lift": lift, "low": low, "high": high, "says": point.says}


def cohort_trend(view: TrendView) -> Spec:
    """The lift of each cohort, or of each day since exposure, with its own interval."""
    drawn = [line for line in view.lines if line.estimate is not None]
    lowest, highest = _frame_of([(line.estimate, *line.bounds) for line in drawn])
    values = [
        {
            "at": _place(point.at),
            "lift": line.estimate,
            "low": lowest if line.bounds[0] is None else max(line.bounds[0], lowest),
            "high": highest if line.bounds[1] is None else min(line.bounds[1], highest),
            "says": f"{view.head} {line.at}: {line.lift} {line.interval}, {line.units} units",
        }
        for point, line in zip(view.trend.points, view.lines, strict=True)
        if line.estimate is not None and lowest <= line.estimate <= highest
    ]
    days = {"title": "days since exposure", "grid": False, "tickMinStep": 1}
    x = (
        _day_axis(len(values)) | {"field": "at"}
        if view.trend.by == "exposure_day"
        else {"field": "at", "type": "quantitative", "scale": {"nice": False, "padding": 8}, "axis": days}
    )
    y = _lift_axis("low") | {"scale": {"domain": [lowest, highest], "nice": False}}
    both = {"x": x, "description": {"field": "says"}}
    interval = {"mark": {"type": "rule", "strokeWidth": 2, "color": SERIES[1], "opacity": 0.55},
                "encoding": both | {"y": y, "y2": {"field": "high"}}}  # fmt: skip
    dots = {"mark": {"type": "point", "filled": True, "size": 36, "color": SERIES[1], "opacity": 1},
            "encoding": both | {"y": y | {"field": "lift"}}}  # fmt: skip
    return _spec(f"Lift of {view.title}", values, [_line_at("y", 0.0), interval, dots])


def _place(at: date | int) -> str | int:
    return at.isoformat() if isinstance(at, date) else at


def _frame_of(drawn: Sequence[tuple[float | None, float | None, float | None]]) -> tuple[float, float]:
    """From where most intervals lie: a few wide ones would dwarf all others."""
    lows = sorted(low for _, low, _ in drawn if low is not None)
    highs = sorted(high for _, _, high in drawn if high is not None)
    ends = [0.0, *lows[len(lows) // 8 :], *highs[: len(highs) - len(highs) // 8]]
    ends += [] if lows and highs else [lift for lift, _, _ in drawn if lift is not None]
    room = 0.08 * (max(ends) - min(ends)) or 0.01
    return min(ends) - room, max(ends) + room


def returning(curves: Mapping[str, Sequence[tuple[int, float]]], variants: Sequence[str]) -> Spec:
    """Share of units who came back by days since exposure, each variant a line."""
    values = [
        {"at": at, "share": share, "variant": variant, "says": f"day {at}: {share:.1%} of {variant}"}
        for variant in variants
        for at, share in curves.get(variant, ())
    ]
    days = {"title": "days since exposure", "grid": False, "tickMinStep": 1}
    encoding = {
        "x": {"field": "at", "type": "quantitative", "scale": {"nice": False}, "axis": days},
        "y": {"field": "share", "type": "quantitative", "axis": {"title": "came back", "format": "~%"}},
        "color": _by_variant(variants),
    }
    line = {"mark": {"type": "line", "strokeWidth": 1.8}, "encoding": encoding}
    dots = {"mark": {"type": "point", "filled": True, "size": 16, "opacity": 1},
            "encoding": encoding | {"description": {"field": "says"}}}  # fmt: skip
    return _spec("Share of units who came back by days since exposure", values, [line, dots])


def distribution(histogram: Histogram, variants: Sequence[str], name: str) -> Spec:
    """Share of units by outcome, each variant a step line; per unit of outcome where bins differ in width."""
    even, heights = _heights(histogram, variants)
    top = max(height for own in heights.values() for i, height in enumerate(own) if i != spike(histogram))
    frame = top * 1.15 if spike(histogram) is not None else max(map(max, heights.values()))
    values = [
        {"outcome": edge, "share": min(own[min(i, len(own) - 1)], frame), "variant": variant}
        for variant, own in heights.items()
        for i, edge in enumerate(histogram.edges)
    ]
    y_axis = {
        "title": "share of units" + ("" if even else " per unit of outcome"),
        "format": "~%" if even else "~g",
    }
    encoding = {
        "x": {"field": "outcome", "type": "quantitative",
              "axis": {"title": name, "labelExpr": COUNTED, "grid": False}},
        "y": {"field": "share", "type": "quantitative", "scale": {"domain": [0, frame]}, "axis": y_axis},
        "color": _by_variant(variants),
    }  # fmt: skip
    shape = {"interpolate": "step-after", "strokeWidth": 1.8}
    fill = {
        "transform": [{"filter": {"field": "variant", "equal": variants[0]}}],
        "mark": {"type": "area", **shape, "fillOpacity": 0.3, "opacity": 1},
        "encoding": encoding,
    }
    line = {"mark": {"type": "line", **shape}, "encoding": encoding}
    return _spec(f"Distribution of {name} by variant", values, [fill, line])


def spike(histogram: Histogram) -> int | None:
    """The bin that towers over all others (often: those who did nothing), whose bar is cut off."""
    bins = [sum(column) for column in zip(*histogram.counts.values(), strict=True)]
    tallest = max(range(len(bins)), key=bins.__getitem__)
    others = max((n for i, n in enumerate(bins) if i != tallest), default=0)
    return tallest if bins[tallest] > 4 * others > 0 else None


def _heights(histogram: Histogram, variants: Sequence[str]) -> tuple[bool, dict[str, list[float]]]:
    """Whether bins are even, and the height of each bin by variant."""
    widths = [right - left for left, right in itertools.pairwise(histogram.edges)]
    even = max(widths) - min(widths) <= 1e-6 * max(widths)
    return even, {
        variant: [
            n / (sum(histogram.counts[variant]) or 1) / (1 if even else width)
            for n, width in zip(histogram.counts[variant], widths, strict=True)
        ]
        for variant in variants
    }


def power_curve(curve: Sequence[tuple[float, float]], minimum_effect: float, power: float) -> Spec:
    """Chance to find a lift, by its size; dashed: the effect planned for and the power wanted."""
    values = [
        {"lift": lift, "power": chance, "says": f"a lift of {lift:.1%}: {chance:.0%}"}
        for lift, chance in curve
    ]
    x = {
        "field": "lift",
        "type": "quantitative",
        "scale": {"nice": False},
        "axis": {"title": "true lift", "format": "~%", "grid": False, "tickCount": 5},
    }
    fifths = {
        "title": "chance to find it",
        "format": ".0%",
        "values": [i / 5 for i in range(6)],
        "tickCount": 6,
    }
    y = {"field": "power", "type": "quantitative", "scale": {"domain": [0, 1]}, "axis": fifths}
    line = {"mark": {"type": "line", "color": SERIES[1], "strokeWidth": 2}, "encoding": {"x": x, "y": y}}
    dots = {"mark": {"type": "point", "filled": True, "size": 60, "color": SERIES[1], "opacity": 0},
            "encoding": {"x": x, "y": y, "description": {"field": "says"}}}  # fmt: skip
    layers = [_line_at("x", minimum_effect, dashed=True), _line_at("y", power, dashed=True), line, dots]
    return _spec("Chance to find an effect by its size", values, layers)


def exposures(by_day: Mapping[date, Mapping[str, int]], variants: Sequence[str]) -> Spec:
    """Units first exposed on each day, by variant."""
    values = [
        {"day": day.isoformat(), "units": units.get(variant, 0), "variant": variant,
         "says": f"{day:%d %b}: {units.get(variant, 0):,} in {variant}"}
        for day, units in sorted(by_day.items())
        for variant in variants
    ]  # fmt: skip
    encoding = {
        "x": _day_axis(len(by_day)),
        "y": {"field": "units", "type": "quantitative", "axis": {"title": "new units", "labelExpr": COUNTED}},
        "color": _by_variant(variants),
    }
    line = {"mark": {"type": "line", "strokeWidth": 1.8}, "encoding": encoding}
    dots = {"mark": {"type": "point", "filled": True, "size": 16, "opacity": 1},
            "encoding": encoding | {"description": {"field": "says"}}}  # fmt: skip
    return _spec("Units first exposed by day and variant", values, [line, dots])


def _spec(
    description: str, values: Sequence[Mapping[str, Any]], layers: Sequence[Spec], height: int = HEIGHT
) -> Spec:
    return {
        "$schema": SCHEMA,
        "description": description,
        "width": WIDTH,
        "height": height,
        "data": {"values": list(values)},
        "layer": list(layers),
        "config": _CONFIG,
    }


def _lift_axis(field: str) -> Spec:
    return {"field": field, "type": "quantitative", "axis": {"title": "lift", "labelExpr": SIGNED}}


def _day_axis(days: int) -> Spec:
    labels = {"format": "%-d %b", "title": None, "grid": False, "tickCount": min(6, max(2, days))}
    return {"field": "day", "type": "temporal", "scale": {"type": "utc"}, "axis": labels}


def _by_variant(variants: Sequence[str]) -> Spec:
    colours = [SERIES[i % len(SERIES)] for i in range(len(variants))]
    return {"field": "variant", "type": "nominal", "scale": {"domain": list(variants), "range": colours},
            "legend": {"title": None, "orient": "top", "symbolType": "stroke"}}  # fmt: skip


def _line_at(channel: str, at: float, *, dashed: bool = False) -> Spec:
    """A straight line across the chart, drawn once whatever the data are."""
    look: Spec = {"strokeDash": [4, 3], "color": BAR} if dashed else {"color": MUTED}
    return {
        "data": {"values": [{"at": at}]},
        "mark": {"type": "rule", "strokeWidth": 1, **look},
        "encoding": {channel: {"field": "at", "type": "quantitative"}},
    }


_CONFIG: Spec = {
    "background": "transparent",
    "font": FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": MUTED, "titleColor": MUTED, "titleFontWeight": "normal", "labelFontSize": 11,
        "titleFontSize": 11, "domainColor": RULE, "tickColor": RULE, "gridColor": RULE, "gridOpacity": 0.6,
        "titlePadding": 8, "tickSize": 4,
    },
    "axisX": {"labelOverlap": True},
    "legend": {"labelColor": INK, "labelFontSize": 11, "padding": 0, "offset": 6},
}  # fmt: skip
