"""Evidence as plain values and back, so that a decision can be stored and replayed; floats survive to the bit."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import date
from typing import Any

from upshot.analysis.evidence import Evidence, Histogram, Sample, Slice
from upshot.model.metric import Metric
from upshot.stats.clusters import ClusterTotals
from upshot.stats.moments import Moments
from upshot.stats.quantiles import QuantileSample

_AS_IS = (
    "unit", "control", "rows", "counts", "conflicts", "duplicate_rows", "missing_unit", "missing_variant", "sql",
)  # fmt: skip


def evidence_to_dict(evidence: Evidence) -> dict[str, Any]:
    """Evidence as JSON can hold it."""
    return {name: getattr(evidence, name) for name in _AS_IS} | {
        "variants": list(evidence.variants),
        "metrics": [asdict(metric) | {"covariates": list(metric.covariates)} for metric in evidence.metrics],
        "total": _slice_to_dict(evidence.total),
        "segments": {
            column: {value: _slice_to_dict(part) for value, part in parts.items()}
            for column, parts in evidence.segments.items()
        },
        "days": {day.isoformat(): _slice_to_dict(part) for day, part in evidence.days.items()},
        "unseen": list(evidence.unseen),
        "unknown": dict(evidence.unknown),
        "clusters": None if evidence.clusters is None else dict(evidence.clusters),
        "pre_period": {
            name: {variant: moments.to_dict() for variant, moments in found.items()}
            for name, found in evidence.pre_period.items()
        },
        "histograms": {
            name: {
                "edges": list(one.edges),
                "counts": {variant: list(counts) for variant, counts in one.counts.items()},
            }
            for name, one in evidence.histograms.items()
        },
        "understood": list(evidence.understood),
    }


def evidence_from_dict(data: Mapping[str, Any]) -> Evidence:
    """The inverse of `evidence_to_dict`."""
    return Evidence(
        **{name: data[name] for name in _AS_IS},
        variants=tuple(data["variants"]),
        metrics=tuple(Metric(**one | {"covariates": tuple(one["covariates"])}) for one in data["metrics"]),
        total=_slice_from_dict(data["total"]),
        segments={
            column: {value: _slice_from_dict(part) for value, part in parts.items()}
            for column, parts in data["segments"].items()
        },
        days={date.fromisoformat(day): _slice_from_dict(part) for day, part in data["days"].items()},
        unseen=tuple(data["unseen"]),
        unknown=dict(data["unknown"]),
        clusters=data["clusters"],
        pre_period={
            name: {variant: Moments.from_dict(moments) for variant, moments in found.items()}
            for name, found in data["pre_period"].items()
        },
        histograms={
            name: Histogram(
                edges=tuple(one["edges"]),
                counts={variant: tuple(counts) for variant, counts in one["counts"].items()},
            )
            for name, one in data["histograms"].items()
        },
        understood=tuple(data["understood"]),
    )


def _slice_to_dict(part: Slice) -> dict[str, Any]:
    return {
        "units": dict(part.units),
        "samples": {
            name: {variant: _sample_to_dict(sample) for variant, sample in found.items()}
            for name, found in part.samples.items()
        },
    }


def _slice_from_dict(data: Mapping[str, Any]) -> Slice:
    return Slice(
        units=dict(data["units"]),
        samples={
            name: {variant: _sample_from_dict(sample) for variant, sample in found.items()}
            for name, found in data["samples"].items()
        },
    )


_VALUES: dict[str, type[Moments | ClusterTotals | QuantileSample]] = {
    "moments": Moments,
    "uncapped": Moments,
    "clusters": ClusterTotals,
    "quantile": QuantileSample,
}
"""The fields of a sample that are values with a form of their own."""


def _sample_to_dict(sample: Sample) -> dict[str, Any]:
    plain = {one.name: getattr(sample, one.name) for one in fields(Sample)}
    values = {name: None if plain[name] is None else plain[name].to_dict() for name in _VALUES}
    return plain | values | {"top": list(sample.top)}


def _sample_from_dict(data: Mapping[str, Any]) -> Sample:
    values = {
        name: None if data[name] is None else kind.from_dict(data[name]) for name, kind in _VALUES.items()
    }
    return Sample(**{**data, **values, "top": tuple(data["top"])})
