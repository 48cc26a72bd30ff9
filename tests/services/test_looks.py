import math
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from upshot.analysis.result import Look, PastComparison
from upshot.errors import InputError
from upshot.services.looks import is_same, looks_file, read_looks, write_looks

finite = st.floats(-1e6, 1e6)
past = st.builds(
    PastComparison,
    n=st.integers(0, 10**9),
    effect=finite,
    fixed_z=finite,
    harm_p_value=st.floats(1e-300, 1),
    std_error=st.floats(1e-9, 1e6),
    df=st.one_of(st.just(math.inf), st.floats(1, 1e6)),
    p_value=st.floats(1e-300, 1),
)
names = st.text("abcdefgäß ", min_size=1, max_size=8)
looks = st.builds(
    Look,
    number=st.integers(1, 400),
    information=st.floats(0, 1),
    comparisons=st.dictionaries(st.tuples(names, names), past, max_size=3),
    units=st.dictionaries(names, st.integers(0, 10**9), max_size=3),
    day=st.one_of(st.none(), st.dates()),
)


@settings(max_examples=50)
@given(st.lists(looks, max_size=4))
def test_looks_come_back_bit_for_bit(tmp_path_factory, kept):
    path = tmp_path_factory.mktemp("looks") / ".upshot" / "looks" / "data.json"
    write_looks(path, kept)
    assert read_looks(path) == tuple(kept)
    assert [entry.name for entry in path.parent.iterdir()] == ["data.json"]


def test_no_file_is_no_look(tmp_path):
    assert read_looks(tmp_path / "none.json") == ()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"looks": 3}', '{"looks": [{"number": 1}]}'])
def test_a_broken_file_says_what_to_do(tmp_path, text):
    path = tmp_path / "looks.json"
    path.write_text(text)
    with pytest.raises(InputError, match="restore it, or remove it to start afresh"):
        read_looks(path)


def test_each_question_has_its_own_file(tmp_path):
    data = tmp_path / "visits.csv"
    files = {looks_file(data, {"variant": "group", "where": where}) for where in ("", "a = 1", "a = 2")}
    assert len(files) == 3
    assert {file.parent for file in files} == {tmp_path / ".upshot" / "looks"}


def look(units=100, effect=0.1, day=date(2026, 1, 5)):
    comparison = PastComparison(
        n=50, effect=effect, std_error=0.1, df=99.0, fixed_z=1.0, p_value=0.3, harm_p_value=0.9
    )
    return Look(
        number=1, information=0.5, comparisons={("converted", "b"): comparison}, units={"a": units}, day=day
    )


def test_the_same_data_are_the_same_look_on_any_day():
    assert is_same(look(), look(day=date(2026, 1, 6)))
    assert not is_same(look(), look(units=101))
    assert not is_same(look(), look(effect=0.2))


def test_sums_in_another_order_are_the_same_data():
    """Engines that sum in parallel give another last digit each time, and that is no news."""
    effect = 2.942665785051107
    numbers = {"n": 9, "std_error": 1.0, "df": 8.0, "fixed_z": 2.9, "p_value": 0.01, "harm_p_value": 1.0}
    first, again, other = (
        Look(
            number=1,
            information=0.5,
            comparisons={("m", "b"): PastComparison(effect=value, **numbers)},
            units={"a": 5, "b": 5},
        )
        for value in (effect, effect * (1 + 1e-15), effect * (1 + 1e-6))
    )
    assert first.comparisons["m", "b"].effect != again.comparisons["m", "b"].effect
    assert is_same(first, again)
    assert not is_same(first, other)
