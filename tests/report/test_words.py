"""Numbers as people say them: rounding never changes what a number means."""

import math

from hypothesis import example, given
from hypothesis import strategies as st

from upshot.report import words

FINITE = st.floats(-1e12, 1e12, allow_nan=False)


def read(text: str) -> float:
    """The number that a reader takes from a text."""
    return float(text.replace(words.MINUS, "-").replace(",", "").rstrip("% p"))


@given(FINITE)
@example(0.0)
@example(-1e-13)
@example(999.9999)
def test_a_number_reads_back_within_its_rounding(value: float) -> None:
    said = read(words.number(value))
    assert math.isclose(said, value, rel_tol=6e-3, abs_tol=1e-11)


@given(FINITE)
def test_a_minus_is_a_true_minus_and_zero_has_no_sign(value: float) -> None:
    text = words.number(value, 2, signed=True)
    assert "-" not in text
    assert text.startswith(words.MINUS) == (round(abs(value), 2) > 0 and value < 0)
    assert text.startswith("+") == (round(abs(value), 2) > 0 and value > 0)


@given(st.floats(0, 1, exclude_min=True), st.sampled_from([0.05, 0.01, 0.1, 0.0125]))
@example(0.0499999, 0.05)
@example(0.05, 0.05)
@example(5e-324, 0.05)
def test_a_printed_p_is_on_the_same_side_of_alpha_and_never_zero(p: float, alpha: float) -> None:
    text = words.p_value(p, alpha)
    if text == "< 0.0001":
        assert p < 0.0001 < alpha
    else:
        assert read(text) > 0
        assert (read(text) < alpha) == (p < alpha)


ENDS = st.tuples(st.floats(-3, 3), st.floats(-3, 3)).map(sorted)


@given(ENDS, st.booleans())
@example([1e-5, 0.4], True)
@example([-0.4, -1e-5], True)
@example([5e-324, 5.0], True)
def test_an_interval_that_excludes_zero_does_so_in_print(ends: list[float], relative: bool) -> None:
    low, high = ends
    _, text = words.with_interval((low + high) / 2, (low, high), relative=relative)
    first, second = text.strip("[]").split(", ") if text.count(", ") == 1 else (None, None)
    assert first is not None
    assert first.startswith("+") == (low > 0)
    assert str(second).startswith(words.MINUS) == (high < 0)


def test_an_end_that_does_not_exist_is_said_in_words() -> None:
    assert words.with_interval(0.4, (0.02, None), relative=True)[1] == "above +2.0%, no upper end"
    assert words.with_interval(0.4, (None, 0.02), relative=True)[1] == "below +2.0%, no lower end"
    assert words.with_interval(None, (None, None), relative=True) == ("–", "no bounds")


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=2, max_size=4))
def test_different_shares_look_different(shares: list[float | None]) -> None:
    known = [share for share in shares if share is not None]
    distinct = {round(100 * share, 6) for share in known}
    texts = {t for t in words.amounts(shares, "proportion") if t != "–"}
    assert len(texts) >= len(distinct)


def test_plain_keeps_one_line_and_nothing_a_terminal_acts_on() -> None:
    assert words.plain("a\x1b]8;;http://x\x07b\r\n\u202ec\t d") == "a]8;;http://xb c d"
