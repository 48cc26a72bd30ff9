"""Everything that the evaluator answers to the vectors, as one JSON text on standard output."""

import json
import sys
from importlib.resources import files

from upshot_sdk import Ruleset, RulesetError, draws
from upshot_sdk.bucketing import unit_text
from upshot_sdk.node import Node
from upshot_sdk.operators import as_instant
from upshot_sdk.targeting import read_condition

vectors = json.loads(files("upshot_sdk").joinpath("vectors.json").read_text("utf-8"))


def condition(when, contexts):
    node = Node(when, [])
    met = read_condition(node, {}).test
    return [[str(problem) for problem in node.problems], [met(context) for context in contexts]]


def evaluations(vector):
    ruleset = Ruleset.from_dict(vector["payload"])
    for asked in vector["evaluations"]:
        now = as_instant(asked.get("now"))
        answer = ruleset.evaluate(asked["flag"], asked["context"], asked.get("default"), now)
        yield [type(answer.value).__name__, *answer[:5], dict(answer.metadata)]


def refusal(payload):
    try:
        Ruleset.from_dict(payload)
    except RulesetError as error:
        return str(error)
    return "taken"


def answers():
    return {
        "python": list(sys.version_info[:2]),
        "draws": [draws(vector["salt"], vector["unit_id"]) for vector in vectors["draws"]],
        "units": [unit_text(vector["value"]) for vector in vectors["units"]],
        "conditions": [condition(v["when"], v["met_by"] + v["not_met_by"]) for v in vectors["conditions"]],
        "refused_conditions": [condition(vector["when"], []) for vector in vectors["refused_conditions"]],
        "rulesets": [list(evaluations(vector)) for vector in vectors["rulesets"]],
        "refused_rulesets": [refusal(vector["payload"]) for vector in vectors["refused_rulesets"]],
    }


if __name__ == "__main__":
    print(json.dumps(answers()))
