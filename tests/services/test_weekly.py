from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.past import Past, design

from upshot.errors import InputError, UnavailableError
from upshot.report.paper import markdown
from upshot.services import learnings
from upshot.services.weekly import weekly
from upshot.services.weekly_letter import WeeklyLetter, send
from upshot.store import alerts, experiments
from upshot.store.alerts import Finding

SEQUENTIAL = design(monitoring="group_sequential")
MONDAY = datetime(2026, 3, 9, tzinfo=UTC)


@pytest.fixture
def past(store_url, tmp_path):
    made = Past(store_url, tmp_path)
    yield made
    made.close()


def report(past, as_of=None):
    return markdown(weekly(past.store, as_of or past.now + timedelta(seconds=1))).replace("\\_", "_")


def sighted(past, key, what, severity="critical", over=False):
    with past.store.changing("upshot monitoring", "what it saw") as change:
        alerts.sight(
            change, Finding(key=key, subject="flag/x", severity=severity, what=what, advice="mend it")
        )
    if over:
        with past.store.changing("upshot monitoring", "over") as change:
            alerts.end(change, key)


def section(text, title):
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0]


def test_a_quiet_week_says_so(past):
    assert "> Nothing runs, 0 decided." in report(past)


def test_what_runs_is_told_by_its_progress(past):
    past.run(design("One look"), 0.3, days=5)
    text = report(past)
    assert "| One look (EXP-2026-001) | ann@example.org | 2 March 2026 | – | running: 9 days" in section(
        text, "Running"
    )
    assert "Too early to judge" in text
    assert "> 1 experiment runs, 0 decided." in text
    assert "- One look (EXP-2026-001)" in section(text, "Proposed")


def test_what_was_decided_killed_learnt_and_went_wrong_is_told(past):
    past.decide(past.run(SEQUENTIAL, 0.15), "SHIP", variant="treatment", reason="it is clear")
    killed = past.run(design("Louder", monitoring="group_sequential"), days=0)
    with past.store.changing("upshot harm", "treatment: crashes are 3 times control") as change:
        experiments.move(change, killed, "killed")
    learnings.add(past.workspace, "Nobody reads the second page.", "eve")
    sighted(past, "look/x", "flag checkout fails")
    sighted(past, "look/y", "flag banner failed", over=True)
    sighted(past, "stale/old", "flag old is stale: nobody met it", "info")
    sighted(past, "decision/EXP-2026-001", "it was decided", "info")
    text = report(past)
    assert "> Nothing runs, 1 decided, 1 killed, 1 alert open." in text
    decided = section(text, "Decided")
    assert "| A shorter form (EXP-2026-001) | SHIP | bob@example.org | it is clear. | activation +" in decided
    assert "| Louder (EXP-2026-002) | 16 March 2026 | treatment: crashes are 3 times control. |" in section(
        text, "Killed"
    )
    assert "flag checkout fails. | 16 March 2026 | mend it |" in section(text, "Alerts")
    assert "flag banner failed. | 16 March 2026 | over |" in section(text, "Alerts")
    assert "it was decided" not in text
    assert section(text, "Stale flags").strip() == "- Flag old is stale: nobody met it. Mend it."
    assert "Nobody reads the second page." in section(text, "Learnings")


def test_it_is_told_as_things_stood_then(past):
    experiment = past.run(SEQUENTIAL, 0.15)
    past.decide(experiment, "SHIP", variant="treatment")
    then = report(past, MONDAY)
    assert "(EXP-2026-001) | ann@example.org | 2 March 2026 | – | running: 8 days to the planned end" in then
    assert "Decided" not in then
    assert section(report(past, MONDAY + timedelta(days=28)), "Running") == ""
    assert "> Nothing runs, 0 decided." in report(past, MONDAY - timedelta(days=7))


class Hook:
    name = "hook"

    def __init__(self, name="hook", failures=0):
        self.name, self.failures, self.taken = name, failures, []

    def send(self, letter):
        if self.failures:
            self.failures -= 1
            raise UnavailableError("it does not answer")
        self.taken.append(letter)


def test_the_job_tells_the_week_that_is_over_to_each_channel_once(past):
    past.run(design("One look"), 0.3, days=9)
    sound, shaky = Hook("sound"), Hook("shaky", failures=2)
    job = WeeklyLetter(past.store, [sound, shaky])
    now = datetime(2026, 3, 10, 15, tzinfo=UTC)
    for _ in range(4):
        with suppress(UnavailableError):
            job.send(now)
    assert [len(sound.taken), len(shaky.taken)] == [1, 1]
    (letter,) = sound.taken
    assert letter.title == "Experiments, 2–8 March 2026"
    assert letter.kind == "report.weekly"
    assert letter.text.startswith("1 experiment runs, 0 decided.\n\n*Running*\n• One look (EXP-2026-001) · ")
    assert letter.markdown.startswith("> 1 experiment runs")
    assert letter.data["until"] == "2026-03-09T00:00:00+00:00"


def test_a_week_with_nothing_in_it_is_not_told(past):
    hook = Hook()
    WeeklyLetter(past.store, [hook]).send(datetime(2026, 3, 10, tzinfo=UTC))
    assert hook.taken == []


def test_sending_by_hand_needs_somewhere(past):
    with pytest.raises(InputError, match="nowhere to send it: set UPSHOT_ALERTS"):
        send(weekly(past.store, past.now), past.now, [])
    hook = Hook()
    assert send(weekly(past.store, past.now), past.now, [hook]) == ("hook",)


def test_a_channel_that_can_never_take_it_holds_up_no_other(past):
    past.run(design("One look"), 0.3, days=9)

    class Broken:
        name = "broken"
        asked = 0

        def send(self, letter):
            self.asked += 1
            raise InputError("its address is none")

    broken, sound = Broken(), Hook()
    job = WeeklyLetter(past.store, [broken, sound])
    for _ in range(2):
        job.send(datetime(2026, 3, 10, tzinfo=UTC))
    assert (broken.asked, len(sound.taken)) == (1, 1)
