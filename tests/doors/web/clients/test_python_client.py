"""PyPI's openfeature-provider-ofrep, unchanged, against a real `upshot serve`."""

import pytest
from openfeature.api import get_client, set_provider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

ofrep = pytest.importorskip(
    "openfeature.contrib.provider.ofrep", reason="openfeature-provider-ofrep is missing: it is what is tested"
)


@pytest.fixture
def client(served, request):
    """OpenFeature's client; its provider sends the key that the test gives."""
    key = getattr(request, "param", served.server_key)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    provider = ofrep.OFREPProvider(served.url, headers_factory=lambda: headers)
    set_provider(provider, domain=request.node.nodeid)
    yield get_client(domain=request.node.nodeid)
    provider.session.close()


def test_all_five_types_come_as_what_they_are(client):
    answers = [
        client.get_boolean_details("dark-mode", False),
        client.get_string_details("greeting", "?"),
        client.get_integer_details("retries", 0),
        client.get_float_details("ratio", 0.0),
        client.get_object_details("theme", {}),
    ]
    assert [answer.value for answer in answers] == [
        True,
        "Hi",
        3,
        1.0,
        {"colour": "#000", "sizes": [1, 2.5]},
    ]
    assert [type(answer.value) for answer in answers] == [bool, str, int, float, dict]
    assert [answer.variant for answer in answers] == ["on", "short", "few", "whole", "dark"]
    assert {answer.reason for answer in answers} == {Reason.STATIC}
    assert {answer.error_code for answer in answers} == {None}


def test_an_experiment_splits_and_says_which_it_is(client):
    context = EvaluationContext("user-1")
    answer = client.get_string_details("checkout", "?", context)
    assert answer.reason == Reason.SPLIT
    assert answer.value == {"control": "one-page", "treatment": "three-steps"}[answer.variant]
    assert answer.flag_metadata["experiment_id"] == "EXP-2026-001"
    assert answer.flag_metadata["phase"] == 1
    assert answer.flag_metadata["unit_id"] == "user-1"
    assert client.get_string_details("checkout", "?", context).variant == answer.variant


def test_both_variants_are_given_about_as_often(client):
    given = [
        client.get_string_details("checkout", "?", EvaluationContext(f"user-{number}")).variant
        for number in range(200)
    ]
    assert 65 < given.count("treatment") < 135  # five standard deviations around 100


def test_attributes_choose(client):
    answer = client.get_string_details("checkout", "?", EvaluationContext("user-1", {"country": "CA"}))
    assert (answer.value, answer.reason) == ("three-steps", Reason.TARGETING_MATCH)


def test_a_disabled_flag_gives_the_callers_default(client):
    for default in (True, False):
        answer = client.get_boolean_details("switched-off", default)
        assert (answer.value, answer.reason, answer.error_code) == (default, Reason.DISABLED, None)


def test_a_flag_that_is_not_there_gives_the_default_and_says_why(client):
    answer = client.get_string_details("nothing", "mine")
    assert (answer.value, answer.reason, answer.error_code) == (
        "mine",
        Reason.ERROR,
        ErrorCode.FLAG_NOT_FOUND,
    )
    assert "nothing" in answer.error_message


def test_a_unit_that_is_missing_is_told(client):
    answer = client.get_boolean_details("by-account", False, EvaluationContext("user-1"))
    assert (answer.value, answer.error_code) == (False, ErrorCode.TARGETING_KEY_MISSING)
    assert "account" in answer.error_message
    assert (
        client.get_boolean_details("by-account", False, EvaluationContext("u", {"account": "A"})).error_code
        is None
    )


@pytest.mark.parametrize(
    ("method", "flag", "default"),
    [
        ("get_string_details", "dark-mode", "mine"),
        ("get_integer_details", "ratio", 7),
        ("get_boolean_details", "greeting", False),
        ("get_object_details", "greeting", {}),
    ],
)
def test_another_type_than_the_flags_gives_the_default(client, method, flag, default):
    answer = getattr(client, method)(flag, default)
    assert (answer.value, answer.error_code) == (default, ErrorCode.TYPE_MISMATCH)


@pytest.mark.parametrize("client", [None, "some-other-key-1234567"], indirect=True)
def test_without_the_right_key_there_is_no_answer(client):
    answer = client.get_boolean_details("dark-mode", False)
    assert (answer.value, answer.error_code) == (False, ErrorCode.GENERAL)
    assert answer.error_message == "unauthorized"


@pytest.mark.parametrize("client", ["client-key-of-the-tests"], indirect=True)
def test_the_clients_key_opens_values_but_no_names_of_rules(client):
    answer = client.get_string_details("checkout", "?", EvaluationContext("user-1", {"country": "CA"}))
    assert answer.value == "three-steps"
    assert "rule" not in answer.flag_metadata
