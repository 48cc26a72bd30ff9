from typing import get_args

import pytest

from upshot.errors import NotFoundError
from upshot.formats.catalogue import catalogue
from upshot.formats.experiments import design_from_yaml
from upshot.formats.templates import filled, template, templates
from upshot.model.experiment import ExperimentType
from upshot.model.standards import Standards
from upshot.services.live_plan import check_plan
from upshot.stats.design import Design as Sample
from upshot.stats.power import sample_size

ALL = list(templates().values())
EACH = pytest.mark.parametrize("worked", ALL, ids=lambda one: one.name)


def test_every_type_of_experiment_has_its_template():
    assert sorted(templates()) == sorted(get_args(ExperimentType))
    assert all(one.design.type == one.name for one in ALL)


@EACH
def test_its_metrics_are_of_the_catalogue_and_can_be_asked_of_events(worked):
    check_plan(worked.design.plan, catalogue())
    assert {one.metric for one in worked.design.lagging} <= set(catalogue())


@EACH
def test_it_is_worked_and_not_empty(worked):
    design, plan = worked.design, worked.design.plan
    assert design.hypothesis.startswith("If we ")
    assert ", then " in design.hypothesis
    assert " because " in design.hypothesis
    assert all((design.name, design.flag, design.background, design.rollback, design.tags, design.segments))
    assert set(design.variants) == set(plan.split)
    assert plan.of_role("guardrail")
    assert len(worked.watch) >= 4


@EACH
def test_it_keeps_to_the_standards_or_says_why_not(worked):
    plan, standards = worked.design.plan, Standards()
    assert plan.alpha <= 1 - standards.confidence + 1e-12
    assert plan.power >= standards.power
    assert plan.minimum_effect >= standards.minimum_effect
    assert plan.minimum_days % 7 == 0
    assert plan.maximum_days % 7 == 0
    assert plan.minimum_days >= 7 * standards.minimum_weeks
    assert plan.maximum_days <= 7 * standards.maximum_weeks or "maximum_runtime" in worked.design.exceptions
    assert plan.monitoring == "group_sequential"


@pytest.mark.parametrize("worked", [one for one in ALL if one.name != "aa"], ids=lambda one: one.name)
def test_its_units_are_enough_for_the_baseline_that_it_names(worked):
    """An A/A experiment has nothing to find, and so no size."""
    plan, sized = worked.design.plan, worked.sized
    primary = plan.of_role("primary")
    margin = primary[-1].margin
    needed = sample_size(
        Sample(
            kind="mean" if "std" in sized else "proportion",
            baseline=sized["baseline"],
            std=sized.get("std"),
            r_squared=sized.get("r2", 0.0),
            effect=0.0 if margin else plan.minimum_effect,
            margin=margin,
            weights=tuple(plan.split.values()),
            monitoring=plan.monitoring,
            looks=plan.looks,
            tests=1 if margin else len(primary),  # of those that may not be lost, every one must hold
        )
    ).units
    assert min(needed) <= plan.planned_units <= 1.3 * min(needed)


def test_units_randomised_in_the_viral_template_are_groups():
    viral = template("viral")
    assert (viral.design.plan.unit, viral.design.plan.unit_kind) == ("account", "account")
    assert any("nterference" in line and "account" in line for line in viral.watch)


@pytest.mark.parametrize("name", ["performance", "infrastructure"])
def test_what_should_change_nothing_is_asked_to_do_no_harm(name):
    plan = template(name).design.plan
    assert plan.policy == "do_no_harm"
    assert all(metric.margin for metric in plan.of_role("primary"))


@EACH
def test_a_filled_template_is_an_experiment_under_the_names_that_were_given(worked):
    text = filled(worked, name="Ours: it's \\1 #2", owner="ann@example.org", flag="our-flag")
    design = design_from_yaml(text)
    assert (design.name, design.owner, design.flag) == ("Ours: it's \\1 #2", "ann@example.org", "our-flag")
    assert design.plan.metrics == worked.design.plan.metrics
    head, _, watch = text.partition("\n#\n# What to watch out for:\n# - ")
    assert " ".join(line.removeprefix("# ") for line in head.splitlines()) == worked.about
    assert watch
    assert design_from_yaml(filled(worked)) == worked.design


def test_a_template_that_is_not_there_is_named_with_the_nearest():
    with pytest.raises(NotFoundError, match="no template onbording: did you mean onboarding"):
        template("onbording")
    with pytest.raises(NotFoundError, match="there are aa, algorithm"):
        template("zzz")
