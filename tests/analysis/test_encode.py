"""Evidence survives JSON to the bit."""

import json

import numpy as np
import pandas as pd
import pytest

from upshot.analysis.encode import evidence_from_dict, evidence_to_dict
from upshot.analysis.query import read_evidence
from upshot.analysis.question import Question
from upshot.formats.metric_text import parse_metric
from upshot.warehouse.sources import open_table


@pytest.mark.parametrize(
    "more", [{"segments": ("country",), "time": "day", "histograms": True}, {"cluster": "shop"}]
)
def test_round_trip(more):
    rng = np.random.default_rng(3)
    n = 400
    frame = pd.DataFrame({
        "variant": np.where(np.arange(n) // 10 % 2, "control", "treatment"),
        "revenue": rng.normal(10, 3, n), "before": rng.normal(10, 3, n),
        "country": rng.choice(["DE", "FR"], n), "shop": np.arange(n) // 10,
        "day": pd.Timestamp("2026-11-02") + pd.to_timedelta(rng.integers(0, 3, n), unit="D"),
    })  # fmt: skip
    texts = ("revenue",) if "cluster" in more else ("revenue,covariate=before,cap=99%", "before,p90")
    question = Question(variant="variant", control="control", metrics=tuple(map(parse_metric, texts)), **more)
    evidence = read_evidence(open_table(frame), question)
    stored = json.dumps(evidence_to_dict(evidence), allow_nan=False)
    assert evidence_from_dict(json.loads(stored)) == evidence
