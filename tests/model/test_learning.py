from datetime import UTC, datetime, timedelta

from upshot.model.learning import LearnedEffect, Learning, links

NOW = datetime(2026, 12, 1, tzinfo=UTC)


def learning(number, moved, *, kind="onboarding", experiment=None, variants=("treatment",)):
    effects = tuple(
        LearnedEffect(
            metric=metric, role="primary", better="higher", variant=variant, lift=0.1, low=None, high=None,
            expected=None, moved=way,
        )
        for (metric, way), variant in zip(moved, variants * len(moved), strict=False)
    )  # fmt: skip
    return Learning(
        id=number, experiment=experiment if experiment is not None else f"EXP-2026-{number:03d}", type=kind,
        at=NOW + timedelta(days=number), actor="ann", text="It moved.", effects=effects,
    )  # fmt: skip


def told(first, *others):
    return [(link.learning.id, link.metric, link.supports) for link in links(first, others)]


def test_the_same_way_supports_and_the_other_contradicts_the_newest_first():
    first = learning(1, [("activation", "better")])
    same, other = learning(2, [("activation", "better")]), learning(3, [("activation", "worse")])
    assert told(first, first, same, other) == [(3, "activation", False), (2, "activation", True)]


def test_another_type_another_metric_and_what_did_not_move_are_no_links():
    first = learning(1, [("activation", "better"), ("churn", "unclear")])
    assert told(first, learning(2, [("activation", "better")], kind="pricing")) == []
    assert told(first, learning(3, [("revenue", "better")])) == []
    assert told(first, learning(4, [("activation", "unclear"), ("churn", "worse")])) == []


def test_an_experiment_does_not_support_itself():
    first = learning(1, [("activation", "better")], experiment="EXP-1")
    assert told(first, learning(2, [("activation", "better")], experiment="EXP-1")) == []


def test_a_metric_that_two_variants_moved_both_ways_says_nothing():
    both = learning(1, [("activation", "better"), ("activation", "worse")], variants=("a", "b"))
    assert told(both, learning(2, [("activation", "better")])) == []
