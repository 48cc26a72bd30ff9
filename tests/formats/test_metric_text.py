import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot.errors import InputError
from upshot.formats.metric_text import parse_metric
from upshot.model.metric import Metric


@pytest.mark.parametrize(
    ("text", "role", "expected"),
    [
        ("converted", "primary", Metric(name="converted", column="converted")),
        (
            "revenue,mean,covariate=revenue_before,covariate=visits_before,cap=99.9%",
            "primary",
            Metric(
                name="revenue",
                column="revenue",
                kind="mean",
                covariates=("revenue_before", "visits_before"),
                cap=0.999,
            ),
        ),
        ("churned,lower", "primary", Metric(name="churned", column="churned", better="lower")),
        (
            "action, value=click, name=clicked",
            "secondary",
            Metric(name="clicked", column="action", kind="proportion", value="click", role="secondary"),
        ),
        (
            "clicks,per=sessions",
            "primary",
            Metric(name="clicks", column="clicks", kind="ratio", per="sessions"),
        ),
        (
            "crashed,max=0.1%",
            "guardrail",
            Metric(name="crashed", column="crashed", role="guardrail", better="lower", maximum=0.001),
        ),
        (
            "uptime,min=99%",
            "guardrail",
            Metric(name="uptime", column="uptime", role="guardrail", minimum=0.99),
        ),
        (
            "load_ms,p95,max=3000",
            "guardrail",
            Metric(
                name="load_ms",
                column="load_ms",
                kind="quantile",
                quantile=0.95,
                role="guardrail",
                better="lower",
                maximum=3000.0,
            ),
        ),
        (
            "latency_ms,lower,margin=2%",
            "guardrail",
            Metric(name="latency_ms", column="latency_ms", role="guardrail", better="lower", margin=0.02),
        ),
        (
            "opened",
            "guardrail",
            Metric(name="opened", column="opened", role="guardrail", margin=0.0),
        ),
        ('"paid, net",mean', "primary", Metric(name="paid, net", column="paid, net", kind="mean")),
    ],
)
def test_short_forms(text: str, role: str, expected: Metric) -> None:
    assert parse_metric(text, role) == expected


@pytest.mark.parametrize(
    ("text", "role", "words"),
    [
        ("", "primary", ["begin with a column"]),
        ("max=3", "guardrail", ["begin with a column"]),
        ("revenue,men", "primary", ["'men'", "did you mean mean?"]),
        ("revenue,covariat=x", "primary", ["covariat", "did you mean covariate=?"]),
        ("revenue,cap=", "primary", ["cap=", "leave it out"]),
        ("revenue,cap=lots", "primary", ["cap=lots", "cap=2%"]),
        ("revenue,cap=nan", "primary", ["cap=nan", "no number"]),
        ("revenue,cap=300", "primary", ["cap=300", "between 0 and 1"]),
        ("revenue,mean,ratio", "primary", ["'mean'", "'ratio'", "keep one"]),
        ("clicks,ratio", "primary", ["per=COLUMN"]),
        ("clicks,mean,per=sessions", "primary", ["per=sessions", "mean"]),
        ("crashed,max=1%", "primary", ["guardrail"]),
        ("crashed,max=1%,margin=2%", "guardrail", ["one of max=, min= and margin="]),
        ("crashed,max=1%,higher", "guardrail", ["lower is better"]),
        ("load,p95,covariate=x", "primary", ["quantile", "covariate="]),
        ("load,p0", "primary", ["p95"]),
        ("load,margin=-2%", "guardrail", ["margin=-0.02", "margin=2%"]),
        ("load,covariate=load", "primary", ["covariate load", "before"]),
        ('"load,mean', "primary", ["quotation mark"]),
    ],
)
def test_refusals_are_one_sentence_with_a_mend(text: str, role: str, words: list[str]) -> None:
    with pytest.raises(InputError) as error:
        parse_metric(text, role)
    message = str(error.value)
    assert "\n" not in message
    assert ":" in message
    for word in words:
        assert word in message


@given(st.text(max_size=40), st.sampled_from(["primary", "secondary", "guardrail"]))
def test_any_text_is_a_metric_or_one_clear_error(text: str, role: str) -> None:
    try:
        metric = parse_metric(text, role)
    except InputError:
        return
    assert metric.column
    assert metric.role == role
