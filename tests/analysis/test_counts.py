"""Bare numbers: read, refused, and as evidence."""

import pytest

from upshot.analysis.counts import evidence_from_counts, parse_counts
from upshot.errors import DataError
from upshot.formats.metric_text import parse_metric
from upshot.stats.moments import Moments


def test_bare_counts_are_evidence_of_one_share():
    counts = parse_counts(("a=3/10", "b=1,000/2,000", "c=0/0"))
    evidence = evidence_from_counts(counts, "b", parse_metric("converted"))
    assert evidence.variants == ("b", "a", "c")
    assert evidence.unseen == ("c",)
    assert evidence.total.samples["converted"]["b"].moments == Moments.from_counts(1000, 2000)
    assert dict(evidence.total.units) == {"b": 2000, "a": 10, "c": 0}


@pytest.mark.parametrize("texts", [("a=3",), ("a=x/2",), ("=1/2",), ("a=1/2", "a=1/3")])
def test_what_does_not_read_is_one_sentence(texts):
    with pytest.raises(DataError, match="counts "):
        parse_counts(texts)


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ({"a": (1, 2)}, "a comparison needs a second variant"),
        ({"b": (1, 2), "c": (1, 2)}, "control is 'a', which is not among b, c"),
        ({"a": (1, 2), "b": (3, 2)}, "b=3/2: more successes than trials"),
        ({"a": (1, 2), "b": (-1, 2)}, "b=-1/2: counts cannot be negative"),
    ],
)
def test_impossible_counts_are_one_sentence(counts, says):
    with pytest.raises(DataError, match=says):
        evidence_from_counts(counts, "a", parse_metric("converted"))
