import dataclasses
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from upshot.formats.flag_fields import CALLED, NAMED, SHORT, names_of
from upshot.formats.flag_findings import INSIDE
from upshot.formats.flag_schema import OPERATORS, flags_schema, schema_text
from upshot.formats.yaml_text import read_yaml
from upshot.model.flag import Flag
from upshot_sdk.operators import OPERATORS as KNOWN

VALID = Draft202012Validator(flags_schema())


@pytest.mark.parametrize("cls", CALLED, ids=lambda cls: cls.__name__)
def test_every_field_is_described_and_nothing_else_allowed(cls):
    part = flags_schema()["$defs"][cls.__name__]
    assert {INSIDE.get(name, name) for name in part["properties"]} == set(names_of(cls))
    assert part["additionalProperties"] is False
    assert [name for name, entry in part["properties"].items() if not entry.get("description")] == []


def test_the_fields_of_a_flag_are_those_of_the_model_and_of_the_short_form():
    own = {field.name for field in dataclasses.fields(Flag)} - {NAMED[Flag]}
    assert set(flags_schema()["$defs"]["Flag"]["properties"]) == own | set(SHORT)


def test_the_operators_are_those_of_the_evaluator():
    assert set(OPERATORS) == set(KNOWN)


def test_it_is_a_schema():
    Draft202012Validator.check_schema(flags_schema())


@pytest.mark.parametrize(
    "text",
    [
        (
            "flags: {a: {enabled: true, percentage: 10, segments: [early], monitoring: {errorThreshold: 0.01,"
            " latencyThreshold: 200, autoKill: true}}}"
        ),
        "flags: {a: {percentage: 10%, schedule: [{at: 2026-12-01T09:00:00Z, percentage: 50%}]}}",
        "flags: {a: {when: {not: {any: [{segment: s}, {attr: plan.tier, op: in, value: [pro]}]}}}}",
        "flags: {a: {rules: [{id: x, experiment: {id: E, split: {on: 50%, off: 1}, traffic: 5%}}]}}",
        "flags:\nlayers: {page: , other: {unit: account}}\nholdouts: {all: {percentage: 5}}",
    ],
)
def test_what_people_write_is_allowed(text):
    assert [error.message for error in VALID.iter_errors(read_yaml(text, "flags"))] == []


@pytest.mark.parametrize(
    "text",
    [
        "flgs: {}",
        "flags: {a: {enable: true}}",
        "flags: {a: {percentage: 101}}",
        "flags: {a: {monitoring: {errorThreshold: 2}}}",
        "flags: {a: {when: {attr: plan, op: is}}}",
        "flags: {a: {when: {all: []}}}",
        "flags: {a: {rules: [{variant: on}]}}",
        "segments: {a: {}}",
        "holdouts: {a: {unit: account}}",
    ],
)
def test_what_would_be_refused_is_marked_by_editors(text):
    assert list(VALID.iter_errors(read_yaml(text, "flags"))) != []


def test_the_file_for_editors_is_fresh():
    path = Path(__file__).parents[2] / "docs" / "flags.schema.json"
    assert path.read_text(encoding="utf-8") == schema_text(), (
        "run: python -m upshot.formats.flag_schema > docs/flags.schema.json"
    )
