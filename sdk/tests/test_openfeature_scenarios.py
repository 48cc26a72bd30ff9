"""OpenFeature's Appendix B against our provider: a real client, a real ruleset, a real server.

The feature files of the specification are in no package (looked for in the source distributions of openfeature-sdk,
openfeature-provider-flagd, -ofrep, openfeature-flagd-api, -core and in npm's server-sdk, core and flagd-core), so
the scenarios are restated here, in the order of evaluation, evaluation_v2, hooks, metadata and contextMerging. Of
evaluation_v2 the two on CACHED are left out: they are for providers that cache. "No metadata" means here: none of the
flag's own, as every answer of ours tells its flag and its revision.
"""

import asyncio
import copy
import socket
from contextlib import contextmanager, suppress

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode, OpenFeatureError
from openfeature.flag_evaluation import FlagEvaluationOptions
from openfeature.hook import Hook
from openfeature.provider import ProviderStatus
from openfeature.transaction_context import ContextVarsTransactionContextPropagator

from upshot_sdk import Client
from upshot_sdk.openfeature import UpshotProvider

PICTURES = {"showImages": True, "title": "Check out these pics!", "imagesPerPage": 100}
METADATA = {"string": "1.0.2", "integer": 2, "float": 0.1, "boolean": True}
LEVELS = ("API", "Transaction", "Client", "Invocation", "Before Hooks")


def flag(kind, default, variants, **more):
    return {"type": kind, "variants": variants, "default_variant": default, **more}


def zero(kind, other, value):
    """Two flags that serve a zero value: one to everybody, one by a rule and by default."""
    variants = {"zero": value, "non-zero": other}
    when = {"attr": "email", "op": "eq", "value": "ballmer@macrosoft.com"}
    ruled = flag(kind, "zero", variants, rules=[{"id": "ballmer", "when": when, "variant": "zero"}])
    return flag(kind, "zero", variants), ruled


ZEROS = {
    "boolean": zero("boolean", True, False),
    "string": zero("string", "str", ""),
    "integer": zero("number", 1, 0),
    "float": zero("number", 1.0, 0.0),
    "object": zero("object", PICTURES, {}),
}
INTERNAL = {"id": "staff", "when": {"attr": "customer", "op": "eq", "value": False}, "variant": "internal"}
FLAGS = {
    "boolean-flag": flag("boolean", "on", {"on": True, "off": False}),
    "string-flag": flag("string", "greeting", {"greeting": "hi", "parting": "bye"}),
    "integer-flag": flag("number", "ten", {"one": 1, "ten": 10}),
    "float-flag": flag("number", "half", {"tenth": 0.1, "half": 0.5}),
    "object-flag": flag("object", "template", {"empty": {}, "template": PICTURES}),
    "metadata-flag": flag("boolean", "on", {"on": True, "off": False}, metadata=METADATA),
    "wrong-flag": flag("string", "one", {"one": "uno", "two": "dos"}),
    "context-aware": flag(
        "string", "external", {"internal": "INTERNAL", "external": "EXTERNAL"}, rules=[INTERNAL]
    ),
    "boolean-disabled-flag": flag("boolean", "on", {"on": True}, enabled=False),
    "string-disabled-flag": flag("string", "hi", {"hi": "hi"}, enabled=False),
    **{f"{kind}-zero-flag": plain for kind, (plain, _) in ZEROS.items()},
    **{f"{kind}-targeted-zero-flag": ruled for kind, (_, ruled) in ZEROS.items()},
    "level": flag(
        "string",
        "none",
        {"none": "none", **{level: level for level in LEVELS}},
        rules=[
            {"id": level, "when": {"attr": "key", "op": "eq", "value": level}, "variant": level}
            for level in LEVELS
        ],
    ),
    **{
        f"entry {level}": flag(
            "boolean",
            "absent",
            {"present": True, "absent": False},
            rules=[
                {
                    "id": "there",
                    "when": {"attr": level, "op": "eq", "value": f"{level} value"},
                    "variant": "present",
                }
            ],
        )
        for level in LEVELS
    },
}
PAYLOAD = {"format": 1, "revision": "r1", "hash": "md5/1", "flags": FLAGS}


@contextmanager
def connected(url, directory, key="server-key", **options):
    with Client(url, key, directory=directory, **options) as client:
        try:
            yield UpshotProvider(client)
        finally:
            api.shutdown()
            api.set_evaluation_context(EvaluationContext())
            api.clear_transaction_context_propagator()


@pytest.fixture(scope="module")
def stable(tmp_path_factory, ruleset_server):
    server = ruleset_server(PAYLOAD)
    with connected(server.url, tmp_path_factory.mktemp("stable")) as provider:
        yield provider


@pytest.fixture
def of(stable):
    """An OpenFeature client with the stable provider."""
    api.set_provider_and_wait(stable)
    yield api.get_client()
    api.shutdown()
    api.set_evaluation_context(EvaluationContext())
    api.clear_transaction_context_propagator()


def details(of, kind, key, default, context=None, options=None):
    """Evaluate by both ways; they must say the same."""
    ask = getattr(of, f"get_{kind}_details")
    ask_async = getattr(of, f"get_{kind}_details_async")
    answer = ask(key, default, context, options)
    other = asyncio.run(ask_async(key, default, context, options))
    assert dict(answer.flag_metadata) == dict(other.flag_metadata)
    answer.flag_metadata = other.flag_metadata
    assert answer == other
    assert type(answer.value) is type(other.value)
    return answer


# evaluation.feature, and of evaluation_v2.feature: resolve values, complete details, variants, structures

RESOLVED = [
    ("boolean", "boolean-flag", False, True, "on"),
    ("string", "string-flag", "bye", "hi", "greeting"),
    ("integer", "integer-flag", 1, 10, "ten"),
    ("float", "float-flag", 0.1, 0.5, "half"),
    ("object", "object-flag", {}, PICTURES, "template"),
    ("object", "object-flag", None, PICTURES, "template"),
]


@pytest.mark.parametrize(("kind", "key", "default", "value", "variant"), RESOLVED)
def test_resolves_values(of, kind, key, default, value, variant):
    assert getattr(of, f"get_{kind}_value")(key, default) == value
    assert asyncio.run(getattr(of, f"get_{kind}_value_async")(key, default)) == value


@pytest.mark.parametrize(("kind", "key", "default", "value", "variant"), RESOLVED)
def test_resolves_details(of, kind, key, default, value, variant):
    answer = details(of, kind, key, default)
    assert (answer.value, answer.variant, answer.reason) == (value, variant, "STATIC")
    assert (answer.flag_key, answer.error_code, answer.error_message) == (key, None, None)
    assert type(answer.value) is type(value)


def test_resolves_based_on_context(of):
    context = EvaluationContext(
        attributes={"fn": "Sulisław", "ln": "Świętopełk", "age": 29, "customer": False}
    )
    assert details(of, "string", "context-aware", "EXTERNAL", context).value == "INTERNAL"
    assert details(of, "string", "context-aware", "EXTERNAL").value == "EXTERNAL"


def test_flag_not_found(of):
    answer = details(of, "string", "missing-flag", "uh-oh")
    assert (answer.value, answer.reason) == ("uh-oh", "ERROR")
    assert answer.error_code == ErrorCode.FLAG_NOT_FOUND


def test_type_error(of):
    answer = details(of, "integer", "wrong-flag", 13)
    assert (answer.value, answer.reason) == (13, "ERROR")
    assert answer.error_code == ErrorCode.TYPE_MISMATCH


# evaluation_v2.feature

ZERO = [
    ("boolean", True, False),
    ("string", "hi", ""),
    ("integer", 1, 0),
    ("float", 0.1, 0.0),
    ("object", {"a": 1}, {}),
]


@pytest.mark.parametrize(("kind", "default", "value"), ZERO)
def test_resolves_zero_values(of, kind, default, value):
    answer = details(of, kind, f"{kind}-zero-flag", default)
    assert (answer.value, answer.variant, answer.reason) == (value, "zero", "STATIC")
    assert type(answer.value) is type(value)


@pytest.mark.parametrize(("kind", "default", "value"), ZERO)
@pytest.mark.parametrize(
    ("context", "reason"),
    [
        (EvaluationContext(attributes={"email": "ballmer@macrosoft.com"}), "TARGETING_MATCH"),
        (EvaluationContext(attributes={"email": "ballmer@none.com"}), "DEFAULT"),
        (EvaluationContext(attributes={"email": None}), "DEFAULT"),
        (EvaluationContext(), "DEFAULT"),
        (None, "DEFAULT"),
    ],
    ids=["match", "no match", "null", "empty", "none"],
)
def test_resolves_zero_values_with_targeting(of, kind, default, value, context, reason):
    answer = details(of, kind, f"{kind}-targeted-zero-flag", default, context)
    assert (answer.value, answer.reason) == (value, reason)
    assert type(answer.value) is type(value)


DEFAULTS = [
    ("boolean", "boolean-flag", False),
    ("string", "string-flag", "bye"),
    ("integer", "integer-flag", 1),
    ("float", "float-flag", 0.1),
    ("object", "object-flag", {"a": 1}),
]


@pytest.mark.parametrize(("kind", "_", "default"), DEFAULTS)
def test_flag_not_found_of_every_type(of, kind, _, default):
    answer = details(of, kind, "non-existent-flag", default)
    assert (answer.value, answer.reason, answer.variant) == (default, "ERROR", None)
    assert answer.error_code == ErrorCode.FLAG_NOT_FOUND


@pytest.mark.parametrize(
    ("kind", "key", "default"),
    [
        ("string", "boolean-flag", "bye"),
        ("boolean", "string-flag", False),
        ("integer", "string-flag", 1),
        ("object", "string-flag", {}),
        ("integer", "boolean-flag", 1),
        ("float", "boolean-flag", 0.1),
    ],
)
def test_type_mismatch(of, kind, key, default):
    answer = details(of, kind, key, default)
    assert (answer.value, answer.reason, answer.variant) == (default, "ERROR", None)
    assert type(answer.value) is type(default)
    assert answer.error_code == ErrorCode.TYPE_MISMATCH


@pytest.mark.parametrize(("kind", "key", "default"), DEFAULTS)
def test_provider_not_ready(silent_url, tmp_path, kind, key, default):
    with connected(silent_url, tmp_path, start_timeout=0, request_timeout=0.3) as provider:
        api.set_provider(provider)
        answer = details(api.get_client(), kind, key, default)
        assert (answer.value, answer.reason) == (default, "ERROR")
        assert answer.error_code == ErrorCode.PROVIDER_NOT_READY


@pytest.mark.parametrize(("kind", "key", "default"), DEFAULTS)
def test_provider_in_fatal_state(serve, tmp_path, kind, key, default):
    with connected(serve(PAYLOAD).url, tmp_path, key="revoked") as provider:
        with suppress(OpenFeatureError):
            api.set_provider_and_wait(provider)
        answer = details(api.get_client(), kind, key, default)
        assert (answer.value, answer.reason) == (default, "ERROR")
        assert answer.error_code == ErrorCode.PROVIDER_FATAL


def test_multiple_context_attributes(of):
    context = EvaluationContext(
        attributes={"email": "ballmer@macrosoft.com", "role": "admin", "age": 65, "customer": False}
    )
    answer = details(of, "string", "context-aware", "false", context)
    assert (answer.value, answer.reason) == ("INTERNAL", "TARGETING_MATCH")


@pytest.mark.parametrize(("kind", "default"), [("boolean", False), ("string", "bye")])
def test_disabled(of, kind, default):
    answer = details(of, kind, f"{kind}-disabled-flag", default)
    assert (answer.value, answer.reason, answer.error_code) == (default, "DISABLED", None)


def test_error_message(of):
    answer = details(of, "boolean", "error-flag", False)
    assert answer.reason == "ERROR"
    assert "flag error-flag not found" in answer.error_message


@pytest.fixture
def silent_url():
    """Of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def status():
    return api.get_client().get_provider_status()


def test_status_of_a_stable_provider(of):
    assert of.get_provider_status() == ProviderStatus.READY


def test_status_before_the_server_has_answered(silent_url, tmp_path):
    with connected(silent_url, tmp_path, start_timeout=0, request_timeout=0.3) as provider:
        api.set_provider(provider)
        assert status() == ProviderStatus.NOT_READY


def test_status_without_a_server(serve, tmp_path):
    server = serve()
    server.fail(503)
    with connected(server.url, tmp_path) as provider:
        with pytest.raises(OpenFeatureError):
            api.set_provider_and_wait(provider)
        assert status() == ProviderStatus.ERROR


def test_status_with_a_key_that_is_refused(serve, tmp_path):
    with connected(serve(PAYLOAD).url, tmp_path, key="revoked") as provider:
        with pytest.raises(OpenFeatureError):
            api.set_provider_and_wait(provider)
        assert status() == ProviderStatus.FATAL


def test_status_when_the_server_fails(serve, tmp_path):
    server = serve(PAYLOAD)
    with connected(server.url, tmp_path, stream=False, poll_interval=0.1) as provider:
        api.set_provider_and_wait(provider)
        server.fail()
        assert server.wait_for(lambda: status() == ProviderStatus.STALE)


class Recorded(Hook):
    """Keeps the stages that ran, with what they were told."""

    def __init__(self, name="hook", stages=None):
        self.name, self.stages = name, [] if stages is None else stages

    def before(self, hook_context, hints):
        self.stages.append((self.name, "before", None))

    def after(self, hook_context, details, hints):
        self.stages.append((self.name, "after", details))

    def error(self, hook_context, exception, hints):
        self.stages.append((self.name, "error", exception))

    def finally_after(self, hook_context, details, hints):
        self.stages.append((self.name, "finally", details))


def test_evaluation_options_with_hooks(of):
    stages = []
    hooks = [Recorded("first", stages), Recorded("second", stages)]
    of.get_boolean_details("boolean-flag", False, None, FlagEvaluationOptions(hooks=hooks))
    assert [stage[:2] for stage in stages] == [
        ("first", "before"),
        ("second", "before"),
        ("second", "after"),
        ("first", "after"),
        ("second", "finally"),
        ("first", "finally"),
    ]


def test_nothing_is_changed_by_an_evaluation(of):
    context = EvaluationContext("user-1", {"nested": {"list": [1, 2]}, "email": "a@example.com"})
    before = copy.deepcopy(context)
    answer = details(of, "boolean", "boolean-flag", False, context)
    assert context == before
    with pytest.raises(TypeError):
        answer.flag_metadata["added"] = 1
    with pytest.raises(TypeError):
        del answer.flag_metadata["version"]


def test_an_evaluation_does_not_keep_the_event_loop_waiting(of):
    async def evaluated():
        return await asyncio.wait_for(of.get_boolean_details_async("async-flag", False), timeout=0.5)

    answer = asyncio.run(evaluated())
    assert answer == of.get_boolean_details("async-flag", False)


# hooks.feature


def hooked(of, kind, key, default):
    hook = Recorded()
    of.add_hooks([hook])
    getattr(of, f"get_{kind}_details")(key, default)
    return {stage: told for _, stage, told in hook.stages}


def test_hooks_after_a_value(of):
    stages = hooked(of, "boolean", "boolean-flag", False)
    assert list(stages) == ["before", "after", "finally"]
    for told in (stages["after"], stages["finally"]):
        assert (told.flag_key, told.value, told.variant) == ("boolean-flag", True, "on")
        assert (told.reason, told.error_code) == ("STATIC", None)


@pytest.mark.parametrize(
    ("kind", "key", "default", "code"),
    [
        ("string", "missing-flag", "uh-oh", ErrorCode.FLAG_NOT_FOUND),
        ("integer", "wrong-flag", 13, ErrorCode.TYPE_MISMATCH),
    ],
)
def test_hooks_after_an_error(of, kind, key, default, code):
    stages = hooked(of, kind, key, default)
    assert list(stages) == ["before", "error", "finally"]
    told = stages["finally"]
    assert (told.flag_key, told.value, told.variant) == (key, default, None)
    assert (told.reason, told.error_code) == ("ERROR", code)
    assert stages["error"].error_code == code


# metadata.feature, and of evaluation_v2.feature: flag metadata in evaluation details


def own_metadata(of, kind, key, default):
    """What a flag says of itself: all but what ours says of every flag."""
    known = dict(details(of, kind, key, default).flag_metadata)
    assert (known.pop("flag"), known.pop("revision"), known.pop("version")) == (key, "r1", "r1")
    return known


def test_metadata_of_a_flag(of):
    known = own_metadata(of, "boolean", "metadata-flag", True)
    assert known == METADATA
    assert {name: type(value) for name, value in known.items()} == {
        "string": str,
        "integer": int,
        "float": float,
        "boolean": bool,
    }


@pytest.mark.parametrize(("kind", "key", "default"), DEFAULTS)
def test_a_flag_without_metadata(of, kind, key, default):
    assert own_metadata(of, kind, key, default) == {}


# contextMerging.feature: what reaches our rules


class Adding(Hook):
    """Adds to the context before the evaluation."""

    def __init__(self, attributes):
        self.attributes = attributes

    def before(self, hook_context, hints):
        return EvaluationContext(attributes=self.attributes)


def merged(of, entries, kind, key, default):
    """Evaluate with attributes given at each level."""
    api.set_transaction_context_propagator(ContextVarsTransactionContextPropagator())
    api.set_evaluation_context(EvaluationContext(attributes=entries.get("API", {})))
    api.set_transaction_context(EvaluationContext(attributes=entries.get("Transaction", {})))
    of.context = EvaluationContext(attributes=entries.get("Client", {}))
    of.add_hooks([Adding(entries.get("Before Hooks", {}))])
    context = EvaluationContext(attributes=entries.get("Invocation", {}))
    try:
        return getattr(of, f"get_{kind}_value")(key, default, context)
    finally:
        api.set_transaction_context(EvaluationContext())


@pytest.mark.parametrize("level", LEVELS)
def test_an_entry_of_any_level_reaches_the_rules(of, level):
    assert merged(of, {level: {"key": level}}, "string", "level", "default") == level


@pytest.mark.parametrize("level", LEVELS)
def test_entries_of_all_levels_reach_the_rules(of, level):
    entries = {name: {name: f"{name} value"} for name in LEVELS}
    assert merged(of, entries, "boolean", f"entry {level}", False) is True


@pytest.mark.parametrize("level", LEVELS)
def test_an_entry_overwrites_those_of_the_levels_before(of, level):
    entries = {name: {"key": name} for name in LEVELS[: LEVELS.index(level) + 1]}
    assert merged(of, entries, "string", "level", "default") == level
