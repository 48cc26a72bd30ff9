from datetime import date

import pytest

from upshot.errors import InputError, PlanError
from upshot.formats.standards import read_standards, standards_from_yaml, standards_to_yaml
from upshot.model.standards import Standards


def test_what_is_left_out_is_the_seeds():
    standards = standards_from_yaml("")
    assert standards == Standards()
    assert (standards.units_per_variant, standards.confidence, standards.power) == (1000, 0.95, 0.8)
    assert (standards.minimum_effect, standards.minimum_weeks, standards.maximum_weeks) == (0.05, 1, 4)


def test_what_is_written_reads_back_the_same():
    text = "{power: 90%, confidence: 0.99, minimum_weeks: 2, working_days: [monday, tuesday], holidays: [2026-12-25]}"
    standards = standards_from_yaml(text)
    assert (standards.power, standards.confidence, standards.holidays) == (0.9, 0.99, (date(2026, 12, 25),))
    assert standards_from_yaml(standards_to_yaml(standards)) == standards


def test_every_mistake_is_named_at_once():
    text = "{powr: 1, power: 120%, minimum_weeks: 0, working_days: [freitag], holidays: [soon], units_per_variant: yes}"
    with pytest.raises(PlanError) as refused:
        standards_from_yaml(text)
    assert refused.value.problems == (
        "powr is no standard: did you mean power?",
        "units_per_variant is yes: give a whole number of 0 or more",
        "power is 1.2: give a share between 0% and 100%, such as 80%",
        "minimum_weeks is 0: give a whole number of weeks of 1 or more",
        "working_days 1 is freitag: give a list of monday, tuesday, wednesday, thursday, friday, saturday, sunday",
        "holidays 1 is soon: give a list of days such as 2026-12-25",
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{minimum_weeks: 5}", "minimum_weeks is 5, above maximum_weeks 4"),
        ("{working_days: []}", "working_days is empty"),
        ("5", "no mapping"),
        ("{units_per_variant: true}", "units_per_variant is true"),
    ],
)
def test_what_makes_no_sense_is_refused(text, sentence):
    with pytest.raises(PlanError, match=sentence):
        standards_from_yaml(text)


def test_a_file_that_is_none_is_told(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_standards(tmp_path / "none.yaml")


def test_the_working_day_is_the_next_on_which_somebody_is_there():
    standards = Standards(holidays=(date(2026, 12, 25),))
    assert standards.working_day(date(2026, 12, 24)) == date(2026, 12, 24)
    assert standards.working_day(date(2026, 12, 25)) == date(2026, 12, 28)
    assert not standards.is_working(date(2026, 12, 27))
    assert Standards(working_days=()).working_day(date(2026, 12, 25)) == date(2026, 12, 25)
