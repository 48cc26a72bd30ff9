"""The JSON Schema of an experiment's file, with which editors complete and check it while people type."""

import json
import sys
from typing import Any

from pydantic import TypeAdapter

from upshot.formats.duration import PATTERN
from upshot.formats.experiments import ABOVE, ORDER
from upshot.formats.schema import PERCENTAGE, attributes, plan_schema
from upshot.model.experiment import Design, Execution, LaggingMetric
from upshot.model.standards import STANDARDS

Schema = dict[str, Any]

_SPAN: Schema = {"type": "string", "pattern": f"^{PATTERN}$"}


def experiment_schema() -> Schema:
    """JSON Schema (2020-12) of what `design_from_yaml` reads, described by the model's docstrings."""
    plan = plan_schema()
    defs: Schema = {**plan.pop("$defs"), "Plan": {**plan, "title": "Plan"}}
    above = {name: plan["properties"].pop(name) for name in ABOVE}
    del plan["$schema"]
    design = TypeAdapter(Design).json_schema()
    for cls in (Execution, LaggingMetric):
        defs[cls.__name__] = _described(design["$defs"][cls.__name__], cls)
    _written(defs["Execution"]["properties"], defs["LaggingMetric"]["properties"])
    own = _described(design, Design)["properties"]
    own["plan"] = {"$ref": "#/$defs/Plan"}
    own["exceptions"]["propertyNames"] = {"enum": list(STANDARDS)}
    fields = {**above, **own}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Upshot experiment",
        "type": "object",
        "properties": {name: fields[name] for name in ORDER},
        "required": ["plan"],
        "additionalProperties": False,
        "$defs": defs,
    }


def _written(execution: Schema, lagging: Schema) -> None:
    """Shares and spans as people write them."""
    for name, span in ((execution, "every"), (lagging, "after")):
        name[span] = {**_SPAN, "description": name[span]["description"]}
    execution["rollout"]["items"] = {"anyOf": [execution["rollout"]["items"], PERCENTAGE]}
    share = {key: execution["holdback"].pop(key) for key in ("type", "minimum", "exclusiveMaximum")}
    execution["holdback"]["anyOf"] = [share, PERCENTAGE]


def _described(part: Schema, cls: type) -> Schema:
    texts = attributes(cls.__doc__ or "")
    for name, schema in part["properties"].items():
        schema["description"] = texts[name]
    part["additionalProperties"] = False
    part["description"] = (cls.__doc__ or "").partition("\n")[0]
    return part


def schema_text() -> str:
    """The schema as the file `docs/experiment.schema.json` holds it."""
    return json.dumps(experiment_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
