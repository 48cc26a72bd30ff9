import asyncio
import threading
from functools import partial
from types import MappingProxyType

import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent
from openfeature.exception import (
    ErrorCode,
    FlagNotFoundError,
    GeneralError,
    InvalidContextError,
    ParseError,
    ProviderFatalError,
    ProviderNotReadyError,
    TargetingKeyMissingError,
    TypeMismatchError,
)
from openfeature.flag_evaluation import FlagEvaluationOptions
from openfeature.hook import Hook
from openfeature.provider import ProviderStatus
from openfeature.telemetry import create_evaluation_event
from openfeature.track import TrackingEventDetails

from upshot_sdk import Client
from upshot_sdk.openfeature import UpshotProvider
from upshot_sdk.testing import override_flags

ALL = [[0, 2**32]]
EXPERIMENT = {
    "id": "EXP-1",
    "phase": 2,
    "salt": "s",
    "unit": "targetingKey",
    "attributes": ["country"],
    "traffic": ALL,
    "split": {"new": ALL},
}
FLAGS = {
    "checkout": {
        "type": "string",
        "variants": {"old": "one-page", "new": "three-steps"},
        "default_variant": "old",
        "rules": [{"id": "exp", "experiment": EXPERIMENT}],
    },
    "ramp": {
        "type": "boolean",
        "variants": {"on": True},
        "rules": [{"id": "all", "rollout": {"salt": "r", "traffic": ALL, "split": {"on": ALL}}}],
    },
    "whole": {"type": "number", "variants": {"one": 1}, "default_variant": "one"},
    "half": {"type": "number", "variants": {"half": 1.5}, "default_variant": "half"},
    "flag": {"type": "boolean", "variants": {"on": True}, "default_variant": "on"},
    "huge": {"type": "number", "variants": {"huge": 2**53 + 1}, "default_variant": "huge"},
    "list": {"type": "object", "variants": {"it": [1, {"a": []}]}, "default_variant": "it"},
    "nothing": {"type": "object", "variants": {"it": {}}},
    "off": {"type": "number", "variants": {"half": 1.5}, "enabled": False},
    "unreadable": {"type": "number", "variants": {"one": "1"}},
}
USER = EvaluationContext("user-1", {"country": "CA"})


def payload(revision="r1", **flags):
    return {"format": 1, "revision": revision, "hash": "md5/1", "flags": {**FLAGS, **flags}}


@pytest.fixture
def server(serve):
    return serve(payload())


@pytest.fixture
def client(server, tmp_path):
    with Client(server.url, server.key, directory=tmp_path, poll_interval=0.1) as client:
        yield client


@pytest.fixture
def provider(client):
    provider = UpshotProvider(client)
    api.set_provider_and_wait(provider)
    yield provider
    api.shutdown()


@pytest.fixture
def of(provider):
    return api.get_client()


@pytest.fixture
def told():
    """What handlers were told of our provider, in order."""
    told = []

    def keep(event, details):
        if details.provider_name == "upshot":
            told.append((event, details))

    for event in ProviderEvent:
        api.add_handler(event, partial(keep, event))
    return told


def names(told):
    return [event.name.removeprefix("PROVIDER_") for event, _ in told]


# Types


def test_each_type_is_exactly_what_was_asked_for(provider):
    answers = [
        provider.resolve_boolean_details("flag", False),
        provider.resolve_string_details("checkout", "x", USER),
        provider.resolve_integer_details("whole", 0),
        provider.resolve_float_details("half", 0.0),
        provider.resolve_object_details("list", {}),
    ]
    assert [type(answer.value) for answer in answers] == [bool, str, int, float, list]


def test_a_whole_number_is_given_as_the_float_that_was_asked_for(provider):
    value = provider.resolve_float_details("whole", 0.5).value
    assert (value, type(value)) == (1.0, float)


@pytest.mark.parametrize(
    ("kind", "key", "default"),
    [
        ("integer", "flag", 0),  # a boolean is no integer
        ("float", "flag", 0.0),
        ("boolean", "whole", False),
        ("integer", "half", 0),  # nothing is cut off
        ("float", "huge", 0.0),  # nor rounded
        ("string", "list", ""),
        ("object", "checkout", {}),
        ("boolean", "checkout", "three-steps"),  # what is asked for counts, not the default's type
    ],
)
def test_another_type_is_a_mismatch(provider, of, kind, key, default):
    resolve = getattr(provider, f"resolve_{kind}_details")
    with pytest.raises(TypeMismatchError, match="the flag's value is of type"):
        resolve(key, default, USER)
    answer = asyncio.run(getattr(of, f"get_{kind}_details_async")(key, default, USER))
    assert answer.error_code == ErrorCode.TYPE_MISMATCH
    assert answer.value is default


@pytest.mark.parametrize(("default", "value"), [(1, 1.0), (1.0, 1.0)])
def test_a_whole_default_of_a_float_flag_is_a_good_default(of, default, value):
    answer = of.get_float_details("off", default)
    assert (answer.value, answer.reason, answer.error_code) == (value, "DISABLED", None)


def test_callers_cannot_change_the_ruleset_through_an_object(of):
    of.get_object_value("list", [])[1]["a"].append("changed")
    assert of.get_object_value("list", []) == [1, {"a": []}]


def test_an_object_flag_without_a_variant_gives_back_the_default_itself(of):
    default = {"mine": True}
    assert of.get_object_value("nothing", default) is default


# Errors


@pytest.mark.parametrize(
    ("key", "context", "error", "message"),
    [
        ("missing", USER, FlagNotFoundError, "flag missing not found"),
        ("unreadable", USER, ParseError, "variants"),
        ("checkout", None, TargetingKeyMissingError, "targetingKey"),
        ("checkout", EvaluationContext(attributes=5), InvalidContextError, "attributes are a int"),
        (["unhashable"], USER, GeneralError, "unhashable"),
    ],
)
def test_errors_are_openfeatures(provider, key, context, error, message):
    with pytest.raises(error) as raised:
        provider.resolve_string_details(key, "default", context)
    assert message in raised.value.error_message


def test_a_key_of_any_length_makes_a_short_message(provider):
    with pytest.raises(FlagNotFoundError) as raised:
        provider.resolve_string_details("k" * 10_000, "default", USER)
    assert len(raised.value.error_message) < 150


# Metadata


def test_metadata_are_flat_and_read_only(of):
    known = of.get_string_details("checkout", "x", USER).flag_metadata
    assert dict(known) == {
        "flag": "checkout",
        "revision": "r1",
        "rule": "exp",
        "experiment_id": "EXP-1",
        "phase": 2,
        "unit": "targetingKey",
        "unit_id": "user-1",
        "version": "r1",
        "contextId": "user-1",
    }
    assert len(known) == 9
    assert "EXP-1" in repr(known)
    with pytest.raises(TypeError):
        known["phase"] = 3


def test_telemetry_finds_what_it_looks_for(client):
    events = []

    class Telemetry(Hook):
        def finally_after(self, hook_context, details, hints):
            events.append(create_evaluation_event(hook_context, details).attributes)

    api.set_provider_and_wait(UpshotProvider(client, flag_set_id="shop"))
    options = FlagEvaluationOptions(hooks=[Telemetry()])
    api.get_client().get_string_value("checkout", "x", USER, options)
    api.shutdown()
    assert events[0]["feature_flag.set.id"] == "shop"
    assert events[0]["feature_flag.version"] == "r1"
    assert events[0]["feature_flag.context.id"] == "user-1"
    assert events[0]["feature_flag.provider_name"] == "upshot"


# Context


def test_the_targeting_key_is_the_unit_even_beside_an_attribute_of_that_name(provider):
    context = EvaluationContext("user-1", {"targetingKey": "other"})
    assert provider.resolve_string_details("checkout", "x", context).flag_metadata["unit_id"] == "user-1"
    context = EvaluationContext(None, {"targetingKey": "other"})
    assert provider.resolve_string_details("checkout", "x", context).flag_metadata["unit_id"] == "other"


def test_attributes_may_be_any_mapping(provider):
    context = EvaluationContext("user-1", MappingProxyType({"country": "CA"}))
    assert provider.resolve_string_details("checkout", "x", context).variant == "new"


# Exposures


def exposures(server, client):
    assert client.flush()
    return server.tracked("Experiment Viewed")


def test_an_exposure_is_sent_once_with_what_the_experiment_copies(of, server, client):
    for _ in range(3):
        of.get_string_value("checkout", "x", USER)
        asyncio.run(of.get_string_value_async("checkout", "x", USER))
    (sent,) = exposures(server, client)
    assert sent["userId"] == "user-1"
    assert sent["properties"] == {
        "experiment_id": "EXP-1",
        "phase": 2,
        "variant": "new",
        "flag": "checkout",
        "revision": "r1",
        "unit": "targetingKey",
        "unit_id": "user-1",
        "attributes": {"country": "CA"},
        "instance": client.instance,
        "seq": 1,
    }


def test_both_ids_of_a_visitor_who_logged_in_are_in_the_exposure(of, server, client):
    context = EvaluationContext("anon-7", {"userId": "user-1", "anonymousId": "anon-7"})
    of.get_string_value("checkout", "x", context)
    (sent,) = exposures(server, client)
    assert (sent["userId"], sent["anonymousId"]) == ("user-1", "anon-7")


def test_no_exposure_where_the_caller_got_no_variant_of_an_experiment(of, server, client):
    of.get_boolean_value("ramp", False, USER)
    of.get_boolean_value("checkout", False, USER)  # a mismatch: the default
    of.get_string_value("checkout", "x")  # no unit: the default
    of.get_string_value("missing", "x", USER)
    assert exposures(server, client) == []


def test_what_a_test_of_the_application_decided_is_answered_and_not_sent(of, provider, server, client):
    with override_flags({"checkout": "old"}):
        answer = of.get_string_details("checkout", "x", USER)
        assert (answer.value, answer.reason) == ("old", "STATIC")
        assert dict(answer.flag_metadata) == {"flag": "checkout", "override": True, "contextId": "user-1"}
        with pytest.raises(GeneralError):
            provider.resolve_string_details(["unhashable"], "x", USER)
    assert exposures(server, client) == []


class Refusing(Hook):
    def after(self, hook_context, details, hints):
        raise GeneralError("not with us")


def test_no_exposure_where_a_hook_refuses_the_value(of, server, client):
    options = FlagEvaluationOptions(hooks=[Refusing()])
    assert of.get_string_value("checkout", "mine", USER, options) == "mine"
    assert exposures(server, client) == []
    assert of.get_string_value("checkout", "mine", USER) == "three-steps"
    assert len(exposures(server, client)) == 1


def test_no_exposure_where_the_caller_only_looks(of, server, client):
    hidden = FlagEvaluationOptions(hook_hints={"exposure": False})
    assert of.get_string_value("checkout", "x", USER, hidden) == "three-steps"
    assert exposures(server, client) == []
    of.get_string_value("checkout", "x", USER, FlagEvaluationOptions(hook_hints={"exposure": True}))
    assert len(exposures(server, client)) == 1


def test_the_hook_leaves_other_providers_alone(server, client, provider, caplog):
    from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

    api.set_provider_and_wait(InMemoryProvider({"other": InMemoryFlag("on", {"on": "x"})}), "other")
    options = FlagEvaluationOptions(hooks=provider.get_provider_hooks())
    assert api.get_client("other").get_string_value("other", "y", USER, options) == "x"
    assert [record for record in caplog.records if record.name == "openfeature"] == []
    assert exposures(server, client) == []


# Tracking


def test_track_sends_value_and_attributes_with_the_merged_context(of, server, client):
    of.context = EvaluationContext("user-1", {"account": "acme"})
    details = TrackingEventDetails(12.5, {"currency": "EUR", "items": ["a", "b"]})
    of.track("Purchase", tracking_event_details=details)
    of.track("Search", EvaluationContext("user-2"))
    assert client.flush()
    (purchase,), (search,) = server.tracked("Purchase"), server.tracked("Search")
    assert purchase["userId"] == "user-1"
    assert purchase["properties"] == {"currency": "EUR", "items": ["a", "b"], "value": 12.5}
    assert purchase["context"]["groupId"] == "acme"
    assert (search["userId"], search["properties"]) == ("user-2", {})


# Events


def test_changes_are_told_with_the_flags_that_they_concern(told, of, server):
    edited = {**FLAGS["flag"], "enabled": False}
    server.publish(payload("r2", flag=edited, added=FLAGS["whole"]))
    assert server.wait_for(lambda: "CONFIGURATION_CHANGED" in names(told))
    assert names(told) == ["READY", "CONFIGURATION_CHANGED"]
    assert set(told[-1][1].flags_changed) == {"flag", "added"}
    assert of.get_boolean_details("flag", True).reason == "DISABLED"


def test_stale_and_ready_again(told, of, server):
    server.fail(500)
    assert server.wait_for(lambda: "STALE" in names(told))
    assert told[-1][1].message == "the server answers 500"
    assert of.get_provider_status() == ProviderStatus.STALE
    assert of.get_boolean_value("flag", False) is True
    server.mend()
    assert server.wait_for(lambda: names(told)[-1] == "READY")
    assert of.get_provider_status() == ProviderStatus.READY
    assert names(told) == ["READY", "STALE", "READY"]


def test_a_key_that_is_revoked_is_an_error_and_flags_still_serve(told, of, server):
    server.fail(401)
    assert server.wait_for(lambda: "ERROR" in names(told))
    assert "refuses the key" in told[-1][1].message
    assert of.get_provider_status() == ProviderStatus.ERROR
    assert of.get_boolean_value("flag", False) is True


def test_a_start_from_disk_is_ready_and_told_stale_with_the_first_evaluation(server, tmp_path, told):
    with Client(server.url, server.key, directory=tmp_path):
        pass
    server.stop()
    with Client(server.url, server.key, directory=tmp_path) as client:
        api.set_provider_and_wait(UpshotProvider(client))
        of = api.get_client()
        assert of.get_provider_status() == ProviderStatus.READY
        assert [of.get_boolean_value("flag", False) for _ in range(2)] == [True, True]
        assert of.get_provider_status() == ProviderStatus.STALE
        assert server.wait_for(lambda: names(told) == ["READY", "STALE"])
        api.shutdown()


# Starting and stopping


def test_no_flags_is_an_error_until_the_server_has_some(serve, tmp_path, told):
    server = serve(payload())
    server.fail(503)
    with Client(server.url, server.key, directory=tmp_path, poll_interval=0.1) as client:
        with pytest.raises(ProviderNotReadyError) as raised:
            api.set_provider_and_wait(UpshotProvider(client))
        assert raised.value.error_message == "there are no flags: the server answers 503"
        of = api.get_client()
        assert of.get_boolean_details("flag", False).error_code == ErrorCode.PROVIDER_NOT_READY
        server.mend()
        assert server.wait_for(lambda: of.get_provider_status() == ProviderStatus.READY)
        assert of.get_boolean_value("flag", False) is True
        api.shutdown()


def test_a_refused_key_is_fatal_until_it_is_accepted(serve, tmp_path):
    server = serve(payload())
    with Client(server.url, "tomorrow's", directory=tmp_path, poll_interval=0.1) as client:
        with pytest.raises(ProviderFatalError) as raised:
            api.set_provider_and_wait(UpshotProvider(client))
        assert "refuses the key" in raised.value.error_message
        of = api.get_client()
        assert of.get_provider_status() == ProviderStatus.FATAL
        server.key = "tomorrow's"
        assert server.wait_for(lambda: of.get_boolean_value("flag", False))
        api.shutdown()


def test_shutdown_sends_what_waits_and_leaves_a_borrowed_client_open(provider, of, server, client):
    of.track("Purchase", USER)
    api.shutdown()
    assert len(server.tracked("Purchase")) == 1
    assert client.state == "ready"


def test_shutdown_closes_a_client_of_its_own(server, tmp_path):
    client = Client(server.url, server.key, directory=tmp_path)
    api.set_provider_and_wait(UpshotProvider(client, owns_client=True))
    api.get_client().track("Purchase", USER)
    api.shutdown()
    assert len(server.tracked("Purchase")) == 1
    assert client.state == "closed"


def test_nothing_is_told_after_shutdown(told, provider, server, client):
    assert server.wait_for(lambda: names(told) == ["READY"])
    provider.shutdown()
    server.publish(payload("r2"))
    assert server.wait_for(lambda: client.ruleset.revision == "r2")
    assert names(told) == ["READY"]


def test_one_provider_may_serve_several_domains(told, provider, server):
    api.set_provider_and_wait(provider, "checkout")
    server.publish(payload("r2", added=FLAGS["whole"]))
    assert server.wait_for(lambda: "CONFIGURATION_CHANGED" in names(told))
    assert names(told).count("CONFIGURATION_CHANGED") == 1
    assert api.get_client("checkout").get_integer_value("added", 0) == 1


def test_many_threads_evaluate_at_once(of, server, client):
    values = []

    def visit(number):
        context = EvaluationContext(f"user-{number % 50}")
        values.extend(of.get_string_value("checkout", "x", context) for _ in range(20))

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values == ["three-steps"] * 2000
    units = [sent["properties"]["unit_id"] for sent in exposures(server, client)]
    assert sorted(units) == sorted(f"user-{number}" for number in range(50))
