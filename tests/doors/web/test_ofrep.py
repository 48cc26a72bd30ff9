import json

import pytest

AS_CLIENT = {"Authorization": "Bearer client-key-0123456789"}
SINGLE = "/ofrep/v1/evaluate/flags/"
BULK = "/ofrep/v1/evaluate/flags"


def asked(context=None, **attributes):
    return {"context": {"targetingKey": "user-1", **attributes} if context is None else context}


@pytest.fixture
def client(shared):
    with shared.client() as client:
        yield client


@pytest.fixture
def browser(shared):
    with shared.client(AS_CLIENT) as client:
        yield client


def test_one_flag(client):
    answer = client.post(SINGLE + "plain", json=asked())
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    revision = body["metadata"]["version"]
    assert body == {
        "key": "plain",
        "value": True,
        "reason": "STATIC",
        "variant": "on",
        "metadata": {
            "flag": "plain",
            "revision": revision,
            "contextId": "user-1",
            "flagSetId": "default",
            "version": revision,
        },
    }


def test_a_rule_and_an_experiment_decide(client):
    ruled = client.post(SINGLE + "team/checkout", json=asked(country="CA")).json()
    assert (ruled["value"], ruled["reason"], ruled["metadata"]["rule"]) == (
        "three-steps", "TARGETING_MATCH", "canada",
    )  # fmt: skip
    drawn = client.post(SINGLE + "team/checkout", json=asked(country="FR")).json()
    assert drawn["reason"] == "SPLIT"
    metadata = drawn["metadata"]
    assert metadata["experiment_id"] == "EXP-2026-001"
    assert (metadata["phase"], metadata["unit"], metadata["unit_id"]) == (1, "targetingKey", "user-1")
    assert "attributes" not in metadata, "OFREP's metadata is flat"


def test_a_key_with_a_slash_may_come_encoded(client):
    raw = client.post(SINGLE + "team/checkout", json=asked(country="CA"))
    encoded = client.post(SINGLE + "team%2Fcheckout", json=asked(country="CA"))
    assert raw.status_code == encoded.status_code == 200
    assert raw.json() == encoded.json()


def test_a_float_keeps_its_point_and_an_integer_has_none(client):
    assert b'"value":1.0' in client.post(SINGLE + "price", json=asked()).content
    assert b'"value":3,' in client.post(SINGLE + "count", json=asked()).content.replace(b"}", b",")
    theme = client.post(SINGLE + "theme", json=asked()).json()
    assert theme["value"] == {"colour": "#000", "ratio": 2.0}


@pytest.mark.parametrize(("key", "reason"), [("off", "DISABLED"), ("no-default", "DEFAULT")])
def test_without_a_variant_there_is_no_value_but_a_variant_member(client, key, reason):
    answer = client.post(SINGLE + key, json=asked())
    assert answer.status_code == 200
    body = answer.json()
    assert "value" not in body
    assert body["variant"] == ""
    assert body["reason"] == reason


def test_no_such_flag(client):
    answer = client.post(SINGLE + "nobody", json=asked())
    assert answer.status_code == 404
    body = answer.json()
    assert (body["key"], body["errorCode"]) == ("nobody", "FLAG_NOT_FOUND")
    assert "nobody" in body["errorDetails"]


@pytest.mark.parametrize("path", [SINGLE + "plain", BULK])
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "PARSE_ERROR"),
        (b"{", "PARSE_ERROR"),
        (b'{"context": {"a": NaN}}', "PARSE_ERROR"),
        (b'{"context": {"a": "\xff"}}', "PARSE_ERROR"),
        (b'{"context": {"a": ' + b"[" * 60_000, "PARSE_ERROR"),
        (b"{}", "INVALID_CONTEXT"),
        (b"[]", "INVALID_CONTEXT"),
        (b'{"context": null}', "INVALID_CONTEXT"),
        (b'{"context": "user-1"}', "INVALID_CONTEXT"),
        (b'{"context": ["user-1"]}', "INVALID_CONTEXT"),
    ],
)
def test_a_body_that_cannot_be_used(client, path, body, code):
    answer = client.post(path, content=body)
    assert answer.status_code == 400
    assert answer.json()["errorCode"] == code
    assert answer.json()["errorDetails"]
    assert answer.json().get("key") == ("plain" if path != BULK else None)


def test_a_unit_that_is_missing(client):
    answer = client.post(SINGLE + "sessions", json=asked())
    assert answer.status_code == 400
    assert answer.json()["key"] == "sessions"
    assert answer.json()["errorCode"] == "TARGETING_KEY_MISSING"
    assert "session" in answer.json()["errorDetails"]


def test_without_a_targeting_key_no_context_id_is_claimed(client):
    body = client.post(SINGLE + "plain", json=asked({})).json()
    assert "contextId" not in body["metadata"]
    assert body["value"] is True


def test_metadata_is_flat(client):
    flags = client.post(BULK, json=asked(session="s-1")).json()["flags"]
    values = [value for flag in flags for value in flag["metadata"].values()]
    assert {type(value) for value in values} <= {str, int, float, bool}


def test_all_flags(client):
    answer = client.post(BULK, json=asked())
    assert answer.status_code == 200
    body = answer.json()
    by_key = {flag["key"]: flag for flag in body["flags"]}
    assert set(by_key) == {
        "plain", "price", "count", "theme", "off", "no-default", "team/checkout", "sessions",
    }  # fmt: skip
    for key in set(by_key) - {"sessions"}:
        assert by_key[key] == client.post(SINGLE + key, json=asked()).json()
    assert by_key["sessions"]["errorCode"] == "TARGETING_KEY_MISSING"
    assert body["metadata"] == {"flagSetId": "default", "version": by_key["plain"]["metadata"]["version"]}
    (stream,) = body["eventStreams"]
    assert stream["type"] == "sse"
    assert stream["inactivityDelaySec"] == 120
    assert stream["endpoint"]["requestUri"].startswith("/ofrep/v1/stream?token=")


def test_browsers_never_see_a_rule_or_its_name(browser):
    answer = browser.post(BULK, json=asked(country="CA"))
    assert answer.status_code == 200
    flag = next(flag for flag in answer.json()["flags"] if flag["key"] == "team/checkout")
    assert flag["value"] == "three-steps"
    assert "rule" not in flag["metadata"]
    assert "canada" not in answer.text


def test_the_tag_covers_the_context(client):
    first = client.post(BULK, json=asked(country="CA"))
    tag = first.headers["etag"]
    again = client.post(BULK, json=asked(country="CA"), headers={"If-None-Match": tag})
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["etag"] == tag
    moved = client.post(BULK, json=asked(country="FR"), headers={"If-None-Match": tag})
    assert moved.status_code == 200
    assert moved.headers["etag"] != tag


def test_the_tag_does_not_depend_on_how_the_context_is_written(client):
    one = client.post(BULK, content=b'{"context":{"targetingKey":"u","a":{"x":1,"y":[1,2]}}}')
    two = client.post(
        BULK, content=b'{ "context": { "a": {"y": [1, 2], "x": 1}, "targetingKey": "\\u0075" } }'
    )
    assert one.headers["etag"] == two.headers["etag"]


def test_the_tag_tells_servers_from_browsers(client, browser):
    tag = client.post(BULK, json=asked()).headers["etag"]
    assert browser.post(BULK, json=asked(), headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize("written", ["{tag}", "W/{tag}", '"other", {tag}', 'W/"other",W/{tag}', "*"])
def test_all_forms_of_if_none_match(client, written):
    tag = client.post(BULK, json=asked()).headers["etag"]
    header = written.format(tag=tag)
    assert client.post(BULK, json=asked(), headers={"If-None-Match": header}).status_code == 304


@pytest.mark.parametrize("written", ['"other"', "W/", ""])
def test_other_tags_do_not_match(client, written):
    assert client.post(BULK, json=asked(), headers={"If-None-Match": written}).status_code == 200


def test_an_edit_gives_new_answers_and_a_new_tag(own):
    from upshot.model.flag import Flag

    with own.client() as client:
        before = client.post(BULK, json=asked())
        own.store.edit(Flag(key="plain", type="boolean", variants={"on": True, "off": False}, default="off"))
        heard = {"flagConfigEtag": '"another-revision.0"', "flagConfigLastModified": "1771622898"}
        after = client.post(
            BULK, params=heard, json=asked(), headers={"If-None-Match": before.headers["etag"]}
        )
    assert after.status_code == 200
    plain = next(flag for flag in after.json()["flags"] if flag["key"] == "plain")
    assert plain["value"] is False, "who heard of a newer state elsewhere does not wait for the next look"


def test_a_scheduled_step_changes_the_tag_though_nothing_was_edited(start):
    from datetime import UTC, datetime

    from upshot.model.flag import Flag, Rule

    begins = datetime(2100, 1, 1, tzinfo=UTC)
    flag = Flag(
        key="later",
        type="boolean",
        variants={"on": True, "off": False},
        default="off",
        rules=(Rule(id="new-year", variant="on", starts=begins),),
    )
    with start((flag,)) as running, running.client() as client:
        running.clock.ahead += begins.timestamp() - running.clock() - 200
        before = client.post(BULK, json=asked())
        tag = {"If-None-Match": before.headers["etag"]}
        assert client.post(BULK, json=asked(), headers=tag).status_code == 304
        running.clock.ahead += 250
        assert client.post(BULK, json=asked(), headers=tag).status_code == 200


def test_an_old_tag_is_renewed_with_its_token(own):
    with own.client() as client:
        first = client.post(BULK, json=asked())
        own.clock.ahead += 300
        renewed = client.post(BULK, json=asked(), headers={"If-None-Match": first.headers["etag"]})
    assert renewed.status_code == 200
    assert renewed.json()["flags"] == first.json()["flags"]
    assert renewed.json()["eventStreams"] != first.json()["eventStreams"]


def test_a_context_of_any_depth_gets_an_answer(client):
    statuses = {}
    for depth in (1, 500, *range(900, 1010), 20_000):  # Python's limit is among them
        body = b'{"context": {"targetingKey": "u", "a": ' + b"[" * depth + b"]" * depth + b"}}"
        statuses[depth] = {client.post(path, content=body).status_code for path in (SINGLE + "plain", BULK)}
    assert statuses[500] == {200}
    assert statuses[20_000] == {400}
    assert set.union(*statuses.values()) == {200, 400}


def test_integers_of_any_size_survive(client):
    body = json.dumps(asked(big=10**30, bigger=-(2**70)))
    assert client.post(BULK, content=body).status_code == 200


def test_other_methods_are_told(client):
    answer = client.get(SINGLE + "plain")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert answer.json() == {"errorDetails": f"{SINGLE}plain does not take GET"}
