"""npm's @openfeature/ofrep-provider and @openfeature/ofrep-web-provider, unchanged, under Node."""

import pytest

QUESTIONS = {
    "boolean": {"type": "Boolean", "flag": "dark-mode", "fallback": False},
    "string": {"type": "String", "flag": "greeting", "fallback": "?"},
    "integer": {"type": "Number", "flag": "retries", "fallback": 0},
    "float": {"type": "Number", "flag": "ratio", "fallback": 0},
    "object": {"type": "Object", "flag": "theme", "fallback": {}},
    "disabled": {"type": "Boolean", "flag": "switched-off", "fallback": True},
    "missing": {"type": "String", "flag": "nothing", "fallback": "mine"},
    "mismatch": {"type": "Boolean", "flag": "greeting", "fallback": True},
    "no unit": {"type": "Boolean", "flag": "by-account", "fallback": False},
    "split": {"type": "String", "flag": "checkout", "fallback": "?"},
}
VALUES = {
    "boolean": True,
    "string": "Hi",
    "integer": 3,
    "float": 1,
    "object": {"colour": "#000", "sizes": [1, 2.5]},
}
ERRORS = {"missing": "FLAG_NOT_FOUND", "mismatch": "TYPE_MISMATCH", "no unit": "TARGETING_KEY_MISSING"}


@pytest.fixture(scope="module")
def answers(served, node):
    """What the server provider answers to all questions, by their names; one process asks them all."""
    user = {"targetingKey": "user-1"}
    questions = {name: question | {"context": user} for name, question in QUESTIONS.items()} | {
        "targeted": QUESTIONS["split"] | {"context": user | {"country": "CA"}},
        "no context": QUESTIONS["boolean"],
        "no key": QUESTIONS["boolean"] | {"key": "nobody"},
        "wrong key": QUESTIONS["boolean"] | {"key": "other"},
        "clients' key": QUESTIONS["string"] | {"key": "client"},
    }
    keys = {
        "server": served.server_key,
        "client": served.client_key,
        "nobody": None,
        "other": "some-other-key-1234567",
    }
    given = node("server_client.mjs", url=served.url, keys=keys, questions=list(questions.values()))
    return dict(zip(questions, given, strict=True))


@pytest.mark.parametrize("name", VALUES)
def test_the_server_provider_gets_every_type(answers, name):
    assert answers[name]["value"] == VALUES[name]
    assert answers[name]["reason"] == "STATIC"
    assert answers[name]["variant"]
    assert answers[name]["flagMetadata"]["flagSetId"] == "default"


@pytest.mark.parametrize("name", ERRORS)
def test_the_server_provider_gets_every_error_as_what_it_is(answers, name):
    assert answers[name]["errorCode"] == ERRORS[name]
    assert answers[name]["value"] == QUESTIONS[name]["fallback"]


def test_the_server_provider_splits_as_the_experiment_says(answers):
    split = answers["split"]
    assert split["reason"] == "SPLIT"
    assert split["value"] == {"control": "one-page", "treatment": "three-steps"}[split["variant"]]
    assert split["flagMetadata"]["experiment_id"] == "EXP-2026-001"
    assert (answers["targeted"]["value"], answers["targeted"]["reason"]) == ("three-steps", "TARGETING_MATCH")


def test_the_server_provider_needs_no_context_where_the_flag_needs_none(answers):
    assert answers["no context"]["value"] is True


@pytest.mark.parametrize("name", ["no key", "wrong key"])
def test_the_server_provider_gets_nothing_without_the_right_key(answers, name):
    assert (answers[name]["value"], answers[name]["reason"]) == (False, "ERROR")


def test_the_clients_key_opens_values(answers):
    assert answers["clients' key"]["value"] == "Hi"


def test_a_disabled_flag_gives_the_callers_default(answers):
    """Provider 0.1.3 fails where an answer has no value; the caller's default comes all the same."""
    assert answers["disabled"]["value"] is True


@pytest.fixture(scope="module")
def rounds(served, node):
    """What the web provider answers to a user, to the same in another country, and to somebody else."""
    contexts = [
        {"targetingKey": "user-1"},
        {"targetingKey": "user-1", "country": "CA"},
        {"targetingKey": "user-2", "userId": "U"},
    ]
    questions = [*QUESTIONS.values(), {"type": "Boolean", "flag": "for-members", "fallback": False}]
    given = node(
        "web_client.mjs", url=served.url, key=served.client_key, questions=questions, contexts=contexts
    )
    assert given["requests"] == [200, 200, 200]
    assert [one["status"] for one in given["rounds"]] == ["READY"] * 3
    names = [*QUESTIONS, "member"]
    return [dict(zip(names, one["answers"], strict=True)) for one in given["rounds"]]


@pytest.mark.parametrize("name", VALUES)
def test_the_web_provider_gets_every_type(rounds, name):
    assert rounds[0][name]["value"] == VALUES[name]


@pytest.mark.parametrize("name", ERRORS)
def test_the_web_provider_gets_every_error_as_what_it_is(rounds, name):
    assert rounds[0][name]["errorCode"] == ERRORS[name]
    assert rounds[0][name]["value"] == QUESTIONS[name]["fallback"]


def test_the_web_provider_gets_the_callers_default_of_a_disabled_flag(rounds):
    assert (rounds[0]["disabled"]["value"], rounds[0]["disabled"]["reason"]) == (True, "DISABLED")


def test_the_web_provider_gets_new_answers_where_the_context_changes(rounds):
    """The ETag covers the context: with the same targeting key a 304 would keep the old country's answers."""
    assert rounds[0]["split"]["reason"] == "SPLIT"
    assert (rounds[1]["split"]["value"], rounds[1]["split"]["reason"]) == ("three-steps", "TARGETING_MATCH")
    assert [one["member"]["value"] for one in rounds] == [False, False, True]


def test_both_providers_agree_on_the_variant(answers, rounds):
    assert rounds[0]["split"]["variant"] == answers["split"]["variant"]


def test_the_web_provider_is_refused_with_a_wrong_key(served, node):
    given = node(
        "web_client.mjs",
        url=served.url,
        key="some-other-key-1234567",
        questions=[QUESTIONS["boolean"]],
        contexts=[{"targetingKey": "user-1"}],
    )
    assert given["requests"] == [401]
    assert given["rounds"][0]["status"] == "FATAL"
    assert given["rounds"][0]["answers"][0]["value"] is False
