"""No effect of a sealed experiment is in any paper: documents, weeks, programmes, learnings, follow-ups."""

import json
import re

import numpy as np
import pytest
from tests.support.past import Past, design

from upshot.formats.values import write_value
from upshot.report.paper import markdown, message
from upshot.report.paper_page import html
from upshot.services import learnings
from upshot.services.documents import document
from upshot.services.follow_ups import draft_text, follow_ups
from upshot.services.live import findings_of
from upshot.services.programme import programme
from upshot.services.weekly import week, weekly
from upshot.services.weekly_letter import notice
from upshot.store import experiments, looks

SEGMENTS = {"DE": 0.4, "FR": -0.2}


@pytest.fixture(scope="module")
def past(tmp_path_factory):
    path = tmp_path_factory.mktemp("sealed")
    made = Past(f"sqlite:///{path / 'upshot.db'}", path)
    made.run(design("It runs"), 0.217, days=6, segments=SEGMENTS, seed=7)
    ended = made.run(design("It was ended"), 0.193, days=5, segments=SEGMENTS, seed=8, share_rate=0.3)
    made.decide(ended, "KILL", variant="control", reason="other plans")
    killed = made.run(design("It was killed"), 0.181, days=4, seed=9)
    made.decide(killed, "KILL", variant="control", reason="the shop closes", state="killed")
    yield made
    made.close()


def canaries(past):
    """What nobody may know, in the ways in which numbers are written: effects, lifts, means and p of all metrics but
    the guardrail, in all and by segment."""
    told = set()
    with past.store.reading() as connection:
        for experiment in experiments.listed(connection):
            last = looks.last(connection, experiment.id)
            before = looks.history(connection, experiment.id, 1)[: last.number - 1]
            found = findings_of(experiment.plan, last.evidence, before, last.look.day, last.situation)
            parts = [
                found.analysis.metrics,
                *(one.metrics for of in found.analysis.segments.values() for one in of.values()),
            ]
            for result in (one for part in parts for one in part if one.role != "guardrail"):
                told |= set(numbers(result))
    return told


def numbers(result):
    for variant in result.variants.values():
        yield from written(variant.mean)
    for one in result.comparisons:
        bounds = (*one.interval, *one.lift_interval, *one.lift_interval_unadjusted)
        for value in (one.effect, one.lift, one.p_value, one.p_value_adjusted, one.std_error, *bounds):
            yield from written(value)


def written(value):
    if value is None or value in (0.0, 1.0) or not np.isfinite(value):
        return
    size = abs(value)
    yield from (f"{size:.4f}", f"{100 * size:.2f}", f"{100 * size:.3f}", f"{size:.6g}")


def papers(past):
    asked = [past.now, *(past.now.replace(day=day) for day in (4, 6, 8, 9))]
    ids = [one.id for one in learnings_of(past)]
    made = (
        [document(past.store, one) for one in ids]
        + [weekly(past.store, at) for at in asked]
        + [programme(past.store)]
    )
    for paper in made:
        yield paper.title, markdown(paper)
        yield paper.title, message(paper)
        yield paper.title, html(paper)
    for at in asked:
        letter = notice(weekly(past.store, at), at)
        yield "letter", letter.text + letter.markdown + json.dumps(letter.data)
        with past.store.reading() as connection:
            yield "week", write_value(week(connection, at))
    for found in learnings.listed(past.workspace):
        yield "learning", write_value(found)
    for found in follow_ups(past.store):
        yield "follow-up", draft_text(found) + found.evidence + found.idea


def learnings_of(past):
    with past.store.reading() as connection:
        return experiments.listed(connection)


def found_in(text, secret):
    return re.search(rf"(?<![\d.,]){re.escape(secret)}(?!\d)", text) is not None


def test_no_paper_holds_a_number_of_a_sealed_experiment(past):
    secrets = canaries(past)
    assert len(secrets) > 300
    made = list(papers(past))
    assert len(made) > 35
    shown = {
        (title, secret)
        for title, text in made
        for secret in secrets
        if len(secret) > 4 and found_in(text, secret)
    }
    assert shown == set()


def test_the_search_would_find_one(past):
    """What is sealed is found in a report that is not."""
    with past.store.reading() as connection:
        (first, *_) = experiments.listed(connection)
        last = looks.last(connection, first.id)
        before = looks.history(connection, first.id, 1)[: last.number - 1]
        found = findings_of(first.plan, last.evidence, before, last.look.day, last.situation)
    from upshot.report import document as written_out

    text = written_out.markdown(found)
    assert sum(found_in(text, secret) for secret in canaries(past)) > 5


def test_what_is_sealed_is_said_to_be(past):
    for experiment in learnings_of(past):
        assert "Effects are sealed until the plan" in markdown(document(past.store, experiment.id))
