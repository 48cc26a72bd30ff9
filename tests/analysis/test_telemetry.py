"""Losses by variant against losses that were made."""

import numpy as np
import pytest

from upshot.analysis.telemetry import Loss, Stream, losses, telemetry_loss


def stream(variant, received, highest):
    return Stream(variants=frozenset(variant.split()), received=received, highest=highest)


def test_missing_numbers_are_lost_messages():
    found = losses([stream("a", 8, 10), stream("a", 5, 5), stream("b", 1, 4), stream("a b", 99, 100)])
    assert found == {
        "a": Loss(sent=15, missing=2),
        "b": Loss(sent=4, missing=3),
        "": Loss(sent=100, missing=1),
    }
    assert (found["b"].share, Loss(sent=0, missing=0).share) == (0.75, 0.0)
    assert stream("a", 7, 5).missing == 0


def pages(rng, variant, lost, count=3000):
    """Pages of 20 messages, each lost with this chance; what comes after the last that arrived is unknown."""
    streams = []
    for _ in range(count):
        arrived = 1 + np.flatnonzero(rng.random(20) >= lost)
        if len(arrived):
            streams.append(stream(variant, len(arrived), int(arrived[-1])))
    return streams


@pytest.mark.parametrize("lost", [0.0, 0.005, 0.02, 0.05])
def test_the_loss_is_estimated_within_a_fifth_of_a_point(lost):
    """Seed 1; 20 messages a page: those lost after the last one that arrived are not seen, 5% of the loss at most."""
    found = losses(pages(np.random.default_rng(1), "a", lost))
    assert found["a"].share == pytest.approx(lost, abs=0.002 + 0.06 * lost)


def test_a_loss_in_one_variant_is_told():
    rng = np.random.default_rng(2)
    anomaly = telemetry_loss(
        "experiment/E", pages(rng, "control", 0.005) + pages(rng, "treatment", 0.02), "control"
    )
    assert anomaly.what == "more of treatment's messages are lost than of control's"
    assert anomaly.said.startswith("lost: control 0.4")
    reverse = telemetry_loss(
        "experiment/E", pages(rng, "control", 0.02) + pages(rng, "treatment", 0.005), "control"
    )
    assert reverse.what == "more of control's messages are lost than of treatment's"


def test_the_same_loss_in_both_is_told_only_where_it_is_large():
    rng = np.random.default_rng(3)
    for lost, told in ((0.02, None), (0.1, "9.")):
        anomaly = telemetry_loss(
            "experiment/E", pages(rng, "control", lost) + pages(rng, "b", lost), "control"
        )
        assert (anomaly is None) if told is None else anomaly.what.startswith(told)


def test_a_batch_that_one_page_lost_is_one_loss():
    sound = [stream(name, 20, 20) for name in ("control", "b") for _ in range(500)]
    assert telemetry_loss("experiment/E", [*sound, stream("b", 20, 320)], "control") is None
    assert telemetry_loss("experiment/E", [], "control") is None
