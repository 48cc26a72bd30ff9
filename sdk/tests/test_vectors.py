"""The published vectors, which another language is checked with too (`vectors.json`, `docs/ruleset.md`)."""

import json
from importlib.resources import files

import pytest

from upshot_sdk import Ruleset, RulesetError, draws
from upshot_sdk.bucketing import unit_text
from upshot_sdk.node import Node
from upshot_sdk.operators import OPERATORS, as_instant
from upshot_sdk.targeting import read_condition

VECTORS = json.loads(files("upshot_sdk").joinpath("vectors.json").read_text("utf-8"))


def named(group):
    return [pytest.param(vector, id=vector["name"]) for vector in VECTORS[group]]


@pytest.mark.parametrize("vector", VECTORS["draws"])
def test_draws(vector):
    assert draws(vector["salt"], vector["unit_id"]) == (vector["split"], vector["traffic"])
    words = [f"{word:08x}" for word in (vector["split"], vector["traffic"])]
    assert vector["md5"].startswith("".join(words))


@pytest.mark.parametrize("vector", VECTORS["units"])
def test_units(vector):
    assert unit_text(vector["value"]) == vector["id"]


@pytest.mark.parametrize("vector", named("conditions"))
def test_conditions(vector):
    node = Node(vector["when"], [])
    met = read_condition(node, {}).test
    assert node.problems == []
    assert [context for context in vector["met_by"] if not met(context)] == []
    assert [context for context in vector["not_met_by"] if met(context)] == []


@pytest.mark.parametrize("vector", named("refused_conditions"))
def test_refused_conditions(vector):
    node = Node(vector["when"], [])
    read_condition(node, {})
    assert {problem.path for problem in node.problems} == {vector["path"].lstrip(".") or "ruleset"}


@pytest.mark.parametrize("vector", named("rulesets"))
def test_rulesets(vector):
    ruleset = Ruleset.from_dict(vector["payload"])
    for wanted in vector["evaluations"]:
        now = as_instant(wanted.get("now"))
        answer = ruleset.evaluate(wanted["flag"], wanted["context"], wanted.get("default"), now)
        assert {name: getattr(answer, name) for name in ("value", "variant", "reason", "error_code")} == {
            "error_code": None,
            **{name: wanted[name] for name in ("value", "variant", "reason", "error_code") if name in wanted},
        }, wanted
        assert type(answer.value) is type(wanted["value"]), wanted
        assert dict(answer.metadata) == wanted.get("metadata", dict(answer.metadata))
        assert (answer.error_message is None) == (answer.reason != "ERROR")


@pytest.mark.parametrize("vector", named("refused_rulesets"))
def test_refused_rulesets(vector):
    with pytest.raises(RulesetError) as caught:
        Ruleset.from_dict(vector["payload"])
    assert sorted(problem.path for problem in caught.value.problems) == vector["paths"]


def test_every_operator_has_a_vector():
    assert {vector["when"]["op"] for vector in VECTORS["conditions"] if "op" in vector["when"]} == set(
        OPERATORS
    )
