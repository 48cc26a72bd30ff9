import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt
from tests.support.past import Past, design

from upshot.errors import NotFoundError
from upshot.model.course import LaggingCheck, Unsealing
from upshot.model.decision import Note, Situation
from upshot.report.paper import markdown, message
from upshot.report.paper_page import html
from upshot.services.documents import document
from upshot.store import experiments

SEQUENTIAL = design(monitoring="group_sequential")


@pytest.fixture
def past(sqlite_store, tmp_path):
    made = Past(sqlite_store, tmp_path)
    yield made
    made.close()


def course(past, experiment, action, **changes):
    with past.store.changing("eve@example.org", "it had to be") as change:
        before = experiments.find(change.connection, experiment).course
        experiments.save_course(change, experiment, action, replace(before, **changes))


def written(past, experiment):
    return markdown(document(past.store, experiment))


def titles(text):
    return re.findall(r"^## (.*)$", text, re.MULTILINE)


def test_a_decided_experiment_is_told_from_its_hypothesis_to_what_was_learnt(past):
    experiment = past.run(SEQUENTIAL, 0.15, segments={"DE": 0.3, "FR": 0.0})
    past.decide(experiment, "SHIP", variant="treatment", reason="clear, and support asked for it")
    text = written(past, experiment)
    assert titles(text) == [
        "Overview", "Hypothesis", "Design", "Results", "Checks", "Guardrails", "Segments", "Next steps", "Method",
        "Decision", "Key learnings", "Course", "Proof",
    ]  # fmt: skip
    for said in (
        "# A shorter form (EXP-2026-001)", "> **SHIP**", "If we ask for less", "Seven of ten leave",
        "treatment (50%): the short form",
        "Switch the flag off.",
        "treatment is better", "clear, and support asked for it", "bob@example.org",
        "decided SHIP",
        "took looks 1 to 14", "the same verdict, from what was kept", "treatment improved activation",
    ):  # fmt: skip
        assert said.replace("_", "\\_") in text, said
    with past.store.reading() as connection:
        assert experiments.find(connection, experiment).plan_hash in text


def test_it_is_the_same_whenever_it_is_asked_for(past):
    experiment = past.run(SEQUENTIAL, 0.1, days=3)
    first = written(past, experiment)
    past.now = datetime(2030, 1, 1, tzinfo=UTC)
    assert written(past, experiment) == first


def test_a_planned_one_says_what_is_agreed_and_nothing_of_data(past):
    with past.store.changing("ann", "an idea") as change:
        made = experiments.create(change, SEQUENTIAL)
    text = written(past, made.id)
    assert "Not started yet" in text
    assert "Nobody looked at its data yet." in text
    assert titles(text) == ["Overview", "Hypothesis", "Design", "Results", "Course", "Proof"]


def test_what_was_accepted_noted_seen_early_and_changed_late_is_told_with_who_and_why(past):
    experiment = past.run(SEQUENTIAL, 0.1, days=4)
    situation = Situation(
        notes=(
            Note(
                sign="negative", text="two of eight were lost", dated=datetime(2026, 3, 3, tzinfo=UTC).date()
            ),
        ),
        acknowledged={"sample_ratio": "a test server sent twice"},
    )
    course(past, experiment, "experiment.acknowledged", situation=situation)
    opened = Unsealing(at=past.clock(), actor="eve@example.org", reason="the board wants to know")
    course(past, experiment, "experiment.unsealed", unsealed=opened, unsealings=2)
    course(past, experiment, "experiment.exploratory", exploratory=("tie_break goes from none to first",))
    check = LaggingCheck(
        metric="retention_d30", due=datetime(2026, 5, 1, tzinfo=UTC).date(), held="faded", sentence="it went"
    )
    course(past, experiment, "experiment.lagging", lagging=(check,))
    text = written(past, experiment)
    for said in (
        "| sample ratio | a test server sent twice. | eve@example.org |",
        "eve@example.org saw effects before the decision point, on 6 March 2026, because the board wants to know.",
        "The seal was broken 2 times.",
        "tie_break goes from none to first.",
        "negative (3 March 2026): two of eight were lost.",
        "| retention_d30 | 1 May 2026 | the early win faded | it went. |",
    ):
        assert said in text.replace("\\_", "_"), said


def test_a_decision_against_the_recommendation_says_so(past):
    experiment = past.run(SEQUENTIAL, 0.15)
    past.decide(experiment, "KILL", variant="control", reason="it costs too much")
    text = written(past, experiment)
    assert "**Recommended**: DISCUSS (unproven)" in text
    assert "**Against the recommendation**: yes" in text
    assert "> **KILL** · it costs too much." in text
    assert "- Keep control and switch treatment off." in text


def test_what_people_typed_is_no_markup_in_any_form(past):
    evil = "<script>alert(1)</script> | *x* `y` [z](http://e.example)"
    plan = replace(SEQUENTIAL.plan, name=evil, hypothesis=evil)
    experiment = past.run(replace(SEQUENTIAL, plan=plan, background=evil, rollback=evil), days=2)
    past.decide(experiment, "KILL", variant="control", reason=evil)
    paper = document(past.store, experiment)
    shown = MarkdownIt("commonmark").enable("table").render(markdown(paper))
    for page in (shown, html(paper)):
        tags = Tags(page)
        assert "script" not in tags.names
        assert "a" not in tags.names
        assert "alert(1)" in tags.text
    assert "*x*" not in message(paper)


def test_the_page_asks_nobody_for_anything(past):
    experiment = past.run(SEQUENTIAL, 0.15)
    page = html(document(past.store, experiment))
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=[\"']?(https?:|//)", page)
    assert "<svg" in page
    assert set(re.findall(r"<h2>(.*?)</h2>", page)) == {*titles(written(past, experiment)), "Charts"}


def test_one_that_is_not_there_is_named(past):
    with pytest.raises(NotFoundError, match="EXP-9"):
        document(past.store, "EXP-9")


class Tags(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.names, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)

    def handle_data(self, data):
        self.text += data
