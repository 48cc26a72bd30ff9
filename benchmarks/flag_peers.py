"""Flag engines that `benchmarks.flags` compares, each behind one function.

Each peer evaluates the same question its own way: a flag that splits 50/50, with three conditions in front of it
where the scenario has them (country in a list, age at least 18, plan is pro). A peer is a module to import, the
configuration for some flags, and a function that loads the text of it and gives a function to evaluate with.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from upshot_sdk import Client

Evaluate = Callable[[str, str, dict], object]  # flag, unit, attributes -> value
SPACE = 2**32
OTHERWISE = "z"
COUNTRIES = ["CA", "US", "MX", "BR"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A flag engine: the module that is imported, its configuration for some flags, and how it is loaded."""

    module: str
    configure: Callable[[list[str], bool], object]
    load: Callable[[str], Evaluate]


# Upshot


def upshot_configuration(keys: list[str], conditions: bool, *, exposures: bool = True) -> object:
    """An experiment, whose answer tells what an exposure needs, or a rollout, whose answer does not."""
    wanted = [
        {"attr": "country", "op": "in", "value": COUNTRIES},
        {"attr": "age", "op": "gte", "value": 18},
        {"attr": "plan", "op": "eq", "value": "pro"},
    ]
    head = {"id": "exp"} | ({"when": {"all": wanted}} if conditions else {})
    split = {"control": [[0, SPACE // 2]], "treatment": [[SPACE // 2, SPACE]]}

    def rule(key: str) -> dict:
        drawn = {"salt": f"salt-{key}", "traffic": [[0, SPACE]], "split": split}
        return head | (
            {"experiment": {"id": "EXP-1", "phase": 1, **drawn}} if exposures else {"rollout": drawn}
        )

    variants = {"control": "a", "treatment": "b"}
    flags = {
        key: {"type": "string", "enabled": True, "variants": variants, "rules": [rule(key)]} for key in keys
    }
    return {"format": 1, "revision": "r1", "hash": "md5/1", "flags": flags}


def upshot_load(text: str) -> Evaluate:
    from upshot_sdk import Ruleset

    evaluate = Ruleset.from_json(text).evaluate
    return lambda key, unit, attributes: evaluate(key, {"targetingKey": unit, **attributes}, OTHERWISE).value


def started_client(text: str) -> "Client":
    """A client that was given its flags by a server on this machine, and asks no more."""
    from upshot_sdk import Client

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.handle_request, daemon=True).start()
    directory = tempfile.mkdtemp()
    client = Client(
        f"http://127.0.0.1:{server.server_port}", "key", directory=directory, stream=False, poll_interval=3600
    )
    assert client.wait(10)
    return client


def client_load(text: str) -> Evaluate:
    evaluate = started_client(text).evaluate
    return lambda key, unit, attributes: evaluate(key, {"targetingKey": unit, **attributes}, OTHERWISE).value


def openfeature_load(text: str) -> Evaluate:
    from openfeature import api
    from openfeature.evaluation_context import EvaluationContext

    from upshot_sdk.openfeature import UpshotProvider

    api.set_provider_and_wait(UpshotProvider(started_client(text)))
    client = api.get_client()
    return lambda key, unit, attributes: client.get_string_value(
        key, OTHERWISE, EvaluationContext(unit, attributes)
    )


# Others


def eppo_configuration(keys: list[str], conditions: bool, *, exposures: bool = True) -> object:
    wanted = [
        {"attribute": "country", "operator": "ONE_OF", "value": COUNTRIES},
        {"attribute": "age", "operator": "GTE", "value": 18},
        {"attribute": "plan", "operator": "ONE_OF", "value": ["pro"]},
    ]

    def splits(key: str) -> list[object]:
        halves = {"control": (0, 5_000), "treatment": (5_000, 10_000)}
        return [{"variationKey": variant, "shards": [{"salt": key, "ranges": [{"start": start, "end": end}]}]}
                for variant, (start, end) in halves.items()]  # fmt: skip

    flags = {
        key: {"key": key, "enabled": True, "variationType": "STRING", "totalShards": 10_000,
              "variations": {"control": {"key": "control", "value": "a"},
                             "treatment": {"key": "treatment", "value": "b"}},
              "allocations": [{"key": "exp", "rules": [{"conditions": wanted}] if conditions else [],
                               "doLog": exposures, "splits": splits(key)}]}
        for key in keys
    }  # fmt: skip
    return {
        "createdAt": "2026-01-01T00:00:00.000Z",
        "format": "SERVER",
        "environment": {"name": "b"},
        "flags": flags,
    }


def eppo_load(text: str) -> Evaluate:
    import eppo_client

    class Silent(eppo_client.AssignmentLogger):
        def log_assignment(self, _: object) -> None:
            return None

    client = eppo_client.init(
        eppo_client.ClientConfig(
            api_key="none", assignment_logger=Silent(), poll_interval_seconds=None,
            initial_configuration=eppo_client.Configuration(flags_configuration=text.encode()),
        )
    )  # fmt: skip
    return lambda key, unit, attributes: client.get_string_assignment(key, unit, attributes, OTHERWISE)


def growthbook_configuration(keys: list[str], conditions: bool) -> object:
    wanted = {"country": {"$in": COUNTRIES}, "age": {"$gte": 18}, "plan": "pro"}
    return {
        key: {"defaultValue": OTHERWISE,
              "rules": [{"key": key, "variations": ["a", "b"], "weights": [0.5, 0.5], "coverage": 1, "hashVersion": 2,
                         "hashAttribute": "id"} | ({"condition": wanted} if conditions else {})]}
        for key in keys
    }  # fmt: skip


def growthbook_load(text: str) -> Evaluate:
    from growthbook import GrowthBook

    features = json.loads(text)

    def evaluate(key: str, unit: str, attributes: dict) -> object:
        return GrowthBook(attributes={"id": unit, **attributes}, features=features).get_feature_value(
            key, OTHERWISE
        )

    return evaluate


def unleash_configuration(keys: list[str], conditions: bool) -> object:
    wanted = [
        {"contextName": "country", "operator": "IN", "values": COUNTRIES},
        {"contextName": "age", "operator": "NUM_GTE", "value": "18"},
        {"contextName": "plan", "operator": "IN", "values": ["pro"]},
    ]

    def strategy(key: str) -> dict:
        parameters = {"rollout": "100", "stickiness": "userId", "groupId": key}
        variants = [{"name": name, "weight": 500, "stickiness": "userId",
                     "payload": {"type": "string", "value": name}} for name in "ab"]  # fmt: skip
        return {"name": "flexibleRollout", "parameters": parameters, "variants": variants,
                "constraints": wanted if conditions else []}  # fmt: skip

    features = [
        {"name": key, "enabled": True, "type": "release", "strategies": [strategy(key)]} for key in keys
    ]
    return {"version": 2, "features": features}


def unleash_load(text: str) -> Evaluate:
    from UnleashClient import UnleashClient
    from UnleashClient.cache import FileCache

    cache = FileCache("benchmark", directory=tempfile.mkdtemp())
    cache.bootstrap_from_dict(json.loads(text))
    client = UnleashClient(
        "http://127.0.0.1:9/api", "benchmark", disable_metrics=True, disable_registration=True, cache=cache
    )
    client.initialize_client(fetch_toggles=False)

    def evaluate(key: str, unit: str, attributes: dict) -> object:
        variant = client.get_variant(key, {"userId": unit, "properties": attributes})
        return variant["name"] if variant["enabled"] else OTHERWISE

    return evaluate


def launchdarkly_configuration(keys: list[str], conditions: bool) -> object:
    halves = {
        "rollout": {"variations": [{"variation": 0, "weight": 50_000}, {"variation": 1, "weight": 50_000}]}
    }
    clauses = [
        {"attribute": "country", "op": "in", "values": COUNTRIES},
        {"attribute": "age", "op": "greaterThanOrEqual", "values": [18]},
        {"attribute": "plan", "op": "in", "values": ["pro"]},
    ]
    return {"flags": {
        key: {"key": key, "on": True, "version": 1, "salt": key, "variations": ["a", "b", OTHERWISE], "offVariation": 2,
              "rules": [{"id": "exp", "clauses": clauses, **halves}] if conditions else [],
              "fallthrough": {"variation": 2} if conditions else halves}
        for key in keys
    }}  # fmt: skip


def launchdarkly_load(text: str) -> Evaluate:
    import ldclient
    from ldclient.integrations import Files

    path = Path(tempfile.mkdtemp()) / "flags.json"
    path.write_text(text)
    source = Files.new_data_source(paths=[str(path)])
    client = ldclient.LDClient(ldclient.Config("none", update_processor_class=source, send_events=False))

    def evaluate(key: str, unit: str, attributes: dict) -> object:
        context = ldclient.Context.from_dict({"kind": "user", "key": unit, **attributes})
        return client.variation(key, context, OTHERWISE)

    return evaluate


def posthog_configuration(keys: list[str], conditions: bool) -> object:
    wanted = [
        {"key": "country", "operator": "exact", "value": COUNTRIES, "type": "person"},
        {"key": "age", "operator": "gte", "value": 18, "type": "person"},
        {"key": "plan", "operator": "exact", "value": ["pro"], "type": "person"},
    ]
    variants = [{"key": name, "rollout_percentage": 50} for name in "ab"]
    group = {"properties": wanted if conditions else [], "rollout_percentage": 100}
    filters = {"groups": [group], "multivariate": {"variants": variants}}
    return [{"id": number, "key": key, "active": True, "filters": filters} for number, key in enumerate(keys)]


def posthog_load(text: str) -> Evaluate:
    from posthog import Posthog

    client = Posthog("none", host="http://127.0.0.1:9", send=False, thread=0, enable_local_evaluation=False)
    client.feature_flags = json.loads(text)

    def evaluate(key: str, unit: str, attributes: dict) -> object:
        # deprecated in favour of evaluate_flags, which takes half as long again for one flag
        found = client.get_feature_flag(
            key,
            unit,
            person_properties=attributes,
            only_evaluate_locally=True,
            send_feature_flag_events=False,
        )
        return found or OTHERWISE

    return evaluate


def flagsmith_configuration(keys: list[str], conditions: bool) -> object:
    wanted = [
        {"property": "country", "operator": "IN", "value": COUNTRIES},
        {"property": "age", "operator": "GREATER_THAN_INCLUSIVE", "value": "18"},
        {"property": "plan", "operator": "EQUAL", "value": "pro"},
    ]

    def feature(key: str, split: bool) -> dict:
        halves = [{"value": name, "weight": 50, "priority": number} for number, name in enumerate("ab")]
        return {
            "key": key,
            "name": key,
            "enabled": True,
            "value": OTHERWISE,
            "variants": halves if split else [],
        }

    segments = {}
    if conditions:
        rules = [{"type": "ALL", "rules": [{"type": "ALL", "conditions": wanted}]}]
        overrides = [feature(key, True) | {"priority": 0} for key in keys]
        segments = {"pro": {"key": "1", "name": "pro", "rules": rules, "overrides": overrides}}
    return {"environment": {"key": "e", "name": "e"}, "segments": segments,
            "features": {key: feature(key, not conditions) for key in keys}}  # fmt: skip


def flagsmith_load(text: str) -> Evaluate:
    from flag_engine.engine import get_evaluation_result

    context = json.loads(text)

    def evaluate(key: str, unit: str, attributes: dict) -> object:
        identity = {"identifier": unit, "key": unit, "traits": attributes}
        return get_evaluation_result({**context, "identity": identity})["flags"][key]["value"]

    return evaluate


def statsig_configuration(keys: list[str], conditions: bool) -> object:
    def condition(kind: str, operator: str | None, target: object, field: str | None, **more: object) -> dict:
        return {"type": kind, "operator": operator, "targetValue": target, "field": field, "additionalValues": more,
                "isDeviceBased": False, "idType": "userID"}  # fmt: skip

    known = {
        "country": condition("user_field", "any", COUNTRIES, "country"),
        "age": condition("user_field", "gte", 18, "age"),
        "plan": condition("user_field", "any", ["pro"], "plan"),
        **{f"half-{key}": condition("user_bucket", "lt", 500, None, salt=key) for key in keys},
    }
    gate = ["country", "age", "plan"] if conditions else []

    def rule(key: str, name: str, asked: list[str], value: str) -> dict:
        return {"name": name, "id": name, "groupName": name, "passPercentage": 100, "conditions": asked, "salt": key,
                "returnValue": {"value": value}, "idType": "userID", "isExperimentGroup": True}  # fmt: skip

    configs = {
        key: {"name": key, "type": "dynamic_config", "entity": "experiment", "salt": key, "enabled": True,
              "isActive": True, "hasSharedParams": False, "idType": "userID", "version": 1,
              "defaultValue": {"value": OTHERWISE},
              "rules": [rule(key, "control", [*gate, f"half-{key}"], "a"), rule(key, "treatment", gate, "b")]}
        for key in keys
    }  # fmt: skip
    return {"has_updates": True, "time": 1_700_000_000_000, "feature_gates": {}, "layer_configs": {},
            "experiment_to_layer": {}, "dynamic_configs": configs, "condition_map": known}  # fmt: skip


def statsig_load(text: str) -> Evaluate:
    from statsig_python_core import DataStore, DataStoreResponse, Statsig, StatsigOptions, StatsigUser

    class Store(DataStore):
        def initialize(self) -> None: ...
        def shutdown(self) -> None: ...
        def set(self, key: str, value: str, time: int | None = None) -> None: ...
        def support_polling_updates_for(self, key: str) -> bool:
            return False

        def get(self, key: str) -> DataStoreResponse:
            return DataStoreResponse(result=text, time=1_700_000_000_000)

    options = StatsigOptions(
        disable_network=True, disable_all_logging=True, data_store=Store(), output_log_level="none",
        disable_country_lookup=True, disable_disk_access=True,
    )  # fmt: skip
    client = Statsig("secret-none", options)
    client.initialize().wait()

    def evaluate(key: str, unit: str, attributes: dict) -> object:
        user = StatsigUser(user_id=unit, custom=attributes)
        return client.get_experiment(user, key).get("value", OTHERWISE)

    return evaluate


PEERS = {
    "upshot": Peer(module="upshot_sdk.ruleset", configure=upshot_configuration, load=upshot_load),
    "upshot, without exposures": Peer(
        module="upshot_sdk.ruleset",
        configure=partial(upshot_configuration, exposures=False),
        load=upshot_load,
    ),
    "upshot, the client": Peer(module="upshot_sdk.client", configure=upshot_configuration, load=client_load),
    "upshot by OpenFeature": Peer(
        module="openfeature.api", configure=upshot_configuration, load=openfeature_load
    ),
    "eppo": Peer(module="eppo_client", configure=eppo_configuration, load=eppo_load),
    "eppo, without exposures": Peer(
        module="eppo_client", configure=partial(eppo_configuration, exposures=False), load=eppo_load
    ),
    "statsig": Peer(module="statsig_python_core", configure=statsig_configuration, load=statsig_load),
    "posthog": Peer(module="posthog", configure=posthog_configuration, load=posthog_load),
    "flagsmith": Peer(module="flag_engine.engine", configure=flagsmith_configuration, load=flagsmith_load),
    "launchdarkly": Peer(module="ldclient", configure=launchdarkly_configuration, load=launchdarkly_load),
    "growthbook": Peer(module="growthbook", configure=growthbook_configuration, load=growthbook_load),
    "unleash": Peer(module="UnleashClient", configure=unleash_configuration, load=unleash_load),
}
