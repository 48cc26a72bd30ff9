"""Overrides: whoever asks, in which thread, for how long, and that they send nothing."""

import asyncio
import threading
import unittest

import pytest

from upshot_sdk import Client
from upshot_sdk.testing import override_flags
from upshot_sdk.visit import Flags, Visitors

HALF = 1 << 31
PAYLOAD = {
    "format": 1, "revision": "r1", "hash": "md5/1",
    "flags": {
        "checkout": {"type": "string", "variants": {"control": "old", "treatment": "new"}, "rules": [
            {"id": "exp", "experiment": {"id": "EXP-2026-001", "phase": 1, "salt": "s", "unit": "targetingKey",
             "traffic": [[0, 2 * HALF]], "split": {"control": [[0, HALF]], "treatment": [[HALF, 2 * HALF]]}}}]},
        "colour": {"type": "string", "variants": {"blue": "#00f"}, "default_variant": "blue"},
    },
}  # fmt: skip
ANN = {"targetingKey": "ann"}


@pytest.fixture
def platform(serve):
    return serve(PAYLOAD)


@pytest.fixture
def client(platform, tmp_path):
    with Client(platform.url, platform.key, directory=tmp_path, stream=False) as client:
        yield client


def test_the_client_answers_what_was_decided_and_sends_nothing(client, platform):
    usual = client.peek("checkout", ANN).variant
    other = "control" if usual == "treatment" else "treatment"
    with override_flags({"checkout": other}):
        answer = client.evaluate("checkout", ANN, "x")
        assert (answer.variant, answer.value, answer.reason) == (other, other, "STATIC")
        assert client.evaluate("colour", ANN).value == "#00f"
    client.flush()
    assert platform.messages == []
    assert client.evaluate("checkout", ANN).variant == usual
    assert client.flush()
    assert len(platform.tracked("Experiment Viewed")) == 1


def test_the_flags_of_a_request_are_decided_before_anybody_is_recognised(client):
    flags = Flags(Visitors(client), None, "", False)
    with override_flags({"checkout": "treatment"}):
        assert flags.variant("checkout") == flags.peek("checkout").variant == "treatment"
    assert flags.headers(()) == []


@pytest.mark.parametrize(
    ("given", "default", "variant", "value"),
    [
        ("treatment", None, "treatment", "treatment"),
        (True, False, "override", True),
        (3, 0.5, "override", 3.0),
        (("short", 2), 0, "short", 2),
        (("short", {"steps": 2}), {}, "short", {"steps": 2}),
    ],
)
def test_variants_values_and_both(client, given, default, variant, value):
    with override_flags({"any": given}):
        answer = client.evaluate("any", ANN, default)
    assert (answer.variant, answer.value, type(answer.value)) == (variant, value, type(value))


def test_mistakes_of_a_test_are_told(client):
    with override_flags({"any": "on"}), pytest.raises(TypeError, match=r'"on", False'):
        client.evaluate("any", ANN, False)
    with pytest.raises(ValueError, match="pair of the variant's name and its value"):
        override_flags({"any": ("on", True, 3)})


def test_blocks_within_blocks(client):
    with override_flags({"a": "1", "b": "1"}):
        with override_flags({"a": "2"}):
            assert [client.peek(key).variant for key in "ab"] == ["2", "1"]
        assert client.peek("a").variant == "1"
    assert client.peek("a").error_code == "FLAG_NOT_FOUND"


def in_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def test_other_threads_hear_of_it_only_where_it_is_wanted(client):
    with override_flags({"colour": "green"}):
        assert in_thread(lambda: client.peek("colour").variant) == "blue"
    with override_flags({"colour": "green"}, in_every_thread=True):
        assert in_thread(lambda: client.peek("colour").variant) == "green"
        with override_flags({"colour": "red"}, in_every_thread=True):
            assert in_thread(lambda: client.peek("colour").variant) == "red"
        assert client.peek("colour").variant == "green"
    assert in_thread(lambda: client.peek("colour").variant) == "blue"


def test_an_error_ends_the_block(client):
    with pytest.raises(KeyError), override_flags({"colour": "green"}):
        raise KeyError
    assert client.peek("colour").variant == "blue"


def test_decorated_functions_and_coroutines(client):
    @override_flags({"colour": "green"})
    def ask(name):
        """What is asked."""
        return name, client.peek("colour").variant

    @override_flags({"colour": "red"})
    async def ask_later():
        await asyncio.sleep(0.01)
        return client.peek("colour").variant

    async def both():
        return await asyncio.gather(ask_later(), ask_later())

    assert ask("x") == ("x", "green")
    assert ask.__doc__ == "What is asked."
    assert asyncio.run(both()) == ["red", "red"]
    assert client.peek("colour").variant == "blue"


def test_a_decorated_class(client):
    @override_flags({"colour": "green"})
    class Case(unittest.TestCase):
        def test_it(self):
            assert client.peek("colour").variant == "green"

        def other(self):
            return client.peek("colour").variant

    result = unittest.TestResult()
    Case("test_it").run(result)
    assert (result.testsRun, result.failures, result.errors) == (1, [], [])
    assert Case("test_it").other() == "blue"
