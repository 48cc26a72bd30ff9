import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot.errors import PlanError
from upshot.formats.yaml_text import read_yaml, write_yaml

BOMB = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))


@given(st.text() | st.dictionaries(st.text(max_size=5), st.text()))
def test_text_is_read_back_as_it_was(value):
    assert read_yaml(write_yaml(value), "x") == value


def test_aliases_stand_for_what_they_name():
    assert read_yaml("a: &a {x: 1}\nb: *a", "x") == {"a": {"x": 1}, "b": {"x": 1}}


def test_on_off_days_and_times_stay_words():
    assert read_yaml("{a: on, off: 2026-12-01, b: 2026-12-01T09:00:00Z, c: true}", "x") == {
        "a": "on",
        "off": "2026-12-01",
        "b": "2026-12-01T09:00:00Z",
        "c": True,
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\na: 2", "line 2: a is given twice"),
        ("? {a: 1}\n: 2", "is no name"),
        ("a: [", "line 1: "),
        ("\x00", "this is not YAML"),
        ("a: !!python/name:os.system", "line 1: could not determine a constructor"),
        ("a: !!bool maybe", "this is not YAML"),
        ("a: !!int many", "this is not YAML"),
        ("a: &a [*a]", "its aliases make it more than 2,000,000 values"),
        (BOMB, "its aliases make it more than 2,000,000 values"),
        ("[" * 1_000, "nested too deep"),
    ],
)
def test_what_is_no_yaml_is_told_with_its_line(text, told):
    with pytest.raises(PlanError, match="plan") as error:
        read_yaml(text, "plan")
    assert told in str(error.value)
