"""The published format says everything that the evaluator reads and answers."""

import json
import re
from pathlib import Path

import pytest

from upshot_sdk import Ruleset, evaluation, flags, operators, pattern, payload, targeting, values

TEXT = (Path(__file__).parents[2] / "docs" / "ruleset.md").read_text("utf-8")
SOURCE = Path(evaluation.__file__).parent
CODED = set(re.findall(r"`([a-zA-Z_]+)`", TEXT))
VECTORS = json.loads((SOURCE / "vectors.json").read_text("utf-8"))


def constants():
    return [value for name, value in vars(evaluation).items() if name.isupper() and value == name]


def fields_that_are_read():
    """The names that readers pass to `Node.fields`, found in their source."""
    found = set()
    for name in ("payload", "flags", "rules", "allocation", "targeting"):
        for call in re.findall(
            r"\.fields\(\s*(.*?)\)\n", (SOURCE / f"{name}.py").read_text("utf-8"), re.DOTALL
        ):
            found |= set(re.findall(r'"([a-z_]+)"', call))
    return found


@pytest.mark.parametrize("word", [*operators.OPERATORS, *values.TYPES, *constants()])
def test_every_operator_type_reason_and_error_code_is_told(word):
    assert word in CODED


def test_every_field_is_told():
    assert {"format", "traffic", "prerequisites", "holdout", "attributes", "ranges"} <= fields_that_are_read()
    assert {
        field for field in fields_that_are_read() if f'"{field}"' not in TEXT and field not in CODED
    } == set()


def test_every_group_of_vectors_is_told():
    assert set(VECTORS) - {"about"} == {group for group in VECTORS if group in CODED}


def test_the_example_is_a_ruleset():
    (example,) = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    ruleset = Ruleset.from_json(example)
    assert (
        ruleset.evaluate("checkout", {"targetingKey": "u", "email": "ada@example.com"}).variant == "treatment"
    )


@pytest.mark.parametrize("limit", [
    f"{targeting.MAX_DEPTH} levels", f"{targeting.MAX_COST:,} leaves", f"{operators.MAX_LIST:,} values",
    f"{pattern.MAX_PATTERN} characters of a pattern", f"at most {pattern.MAX_TEXT} characters",
    f"at {flags.MAX_TIMES} different times", f"`{payload.HASH}`", f"The ruleset: format {payload.FORMAT}",
])  # fmt: skip
def test_limits_are_those_of_the_evaluator(limit):
    assert limit in " ".join(TEXT.split())
