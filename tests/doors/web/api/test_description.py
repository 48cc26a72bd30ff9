"""Schemathesis asks a real server all that its OpenAPI allows, and what it does not: no fault, and no answer that the
description does not have."""

from copy import deepcopy

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from upshot.doors.web.api.app import create_api
from upshot.doors.web.api.parts import Parts

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
FEW, MANY = 1, 100
LENIENT = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def shallow(schema):
    """The same without what files hold, of which making examples takes long."""
    parts = schema["components"]["schemas"]
    files = {name: {"type": "object"} for name in parts if name.startswith(("Design", "Flags"))}
    return {**schema, "components": {**schema["components"], "schemas": {**parts, **files}}}


DESCRIPTION = create_api(Parts(store=None, workspace=None, defined=None)).openapi()
quick = schemathesis.openapi.from_dict(shallow(DESCRIPTION))
described = schemathesis.openapi.from_dict(DESCRIPTION)
quick_of_one_thing, of_one_thing = (schema.include(path_regex=r"\{") for schema in (quick, described))


@pytest.fixture(scope="module")
def there(served):
    """Something of each kind, by the name that addresses have for it."""
    with served.client("admin") as client:
        fields = {"type": "boolean", "variants": {"control": False, "treatment": True}, "default": "control"}
        for section, written in (
            ("flags", fields),
            ("segments", {"when": {"attr": "beta", "op": "eq", "value": True}}),
            ("layers", {}),
            ("holdouts", {"percentage": 5}),
        ):
            assert client.put(f"/api/{section}/thing", json={"fields": written}).status_code == 200
        design = {"flag": "thing", "plan": {"metrics": ["activation"], "monitoring": "always_valid"}}
        made = client.post("/api/experiments", json={"design": design}).json()["id"]
        failing = [one["name"] for one in client.get(f"/api/experiments/{made}/checklist").json()]
        begun = client.post(
            f"/api/experiments/{made}/start", json={"accepted": dict.fromkeys(failing, "a test")}
        )
        assert begun.status_code == 200, begun.text
        client.post("/api/users", json={"name": "thing", "role": "viewer"})
        key = client.post("/api/keys", json={"role": "viewer", "source": "thing"}).json()["id"]
    return {"experiment_id": made, "key_id": key, "key": "thing", "name": "thing", "number": 1}


def ask(case, served):
    headers = {"Authorization": f"Bearer {served.keys['admin']}"}
    case.call_and_validate(base_url=f"{served.url}/api", headers=headers, checks=CHECKS)


@quick.parametrize()
@settings(max_examples=FEW, **LENIENT)
def test_no_answer_is_a_fault_or_a_surprise(case, served):
    ask(case, served)


@quick_of_one_thing.parametrize()
@settings(max_examples=FEW, **LENIENT)
def test_nor_one_about_what_is_there(case, served, there):
    case.path_parameters = {name: there[name] for name in case.path_parameters}
    ask(case, served)


@pytest.mark.slow
@described.parametrize()
@settings(max_examples=MANY, **LENIENT)
def test_nor_among_many(case, served):
    ask(case, served)


@pytest.mark.slow
@of_one_thing.parametrize()
@settings(max_examples=MANY, **LENIENT)
def test_nor_among_many_about_what_is_there(case, served, there):
    case.path_parameters = {name: there[name] for name in case.path_parameters}
    ask(case, served)


def test_a_fault_would_be_found(served, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("inside")

    monkeypatch.setattr("upshot.services.keys.listed", broken)
    with pytest.raises(BaseExceptionGroup, match="Schemathesis"):
        ask(described["/keys"]["GET"].Case(), served)


def test_what_is_not_described_would_be_found(served):
    schema = deepcopy(described.raw_schema)
    del schema["paths"]["/templates/{name}"]["get"]["responses"]["404"]
    operation = schemathesis.openapi.from_dict(schema)["/templates/{name}"]["GET"]
    with pytest.raises(BaseExceptionGroup, match="Schemathesis"):
        ask(operation.Case(path_parameters={"name": "nothing"}), served)
