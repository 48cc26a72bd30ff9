import base64
import time

import pytest

from upshot.doors.web.auth import RENEWAL, TOKEN_LIFE, Keys

SERVER, CLIENT = "server-key-0123456789", "client-key-0123456789"
BASIC = base64.b64encode(f"{SERVER}:".encode()).decode()
EVERYTHING = [
    ("POST", "/ofrep/v1/evaluate/flags"),
    ("POST", "/ofrep/v1/evaluate/flags/plain"),
    ("GET", "/v1/ruleset"),
    ("GET", "/v1/ruleset/stream"),
]


@pytest.mark.parametrize(("method", "path"), EVERYTHING)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong-key-0123456789"},
        {"Authorization": f"Bearer {SERVER}x"},
        {"Authorization": f"Bearer {SERVER[:-1]}"},
        {"Authorization": SERVER},
        {"Authorization": f"Basic {SERVER}"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer \xff\xfe-latin-letters"},
        {"X-API-Key": "wrong-key-0123456789"},
        {"X-API-Key": ""},
        {"Authorization": "Bearer wrong-key-0123456789", "X-API-Key": SERVER},
    ],
)
def test_without_the_right_key_nothing_is_told(shared, method, path, headers):
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    with shared.client({}) as client:
        answer = client.request(
            method, path, json={"context": {}} if method == "POST" else None, headers=encoded
        )
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert set(answer.json()) == {"errorDetails"}
    assert "plain" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [{"Authorization": f"bearer {SERVER}"}, {"x-api-key": SERVER}, {"Authorization": f"basic {BASIC}"}],
)
def test_the_key_may_come_in_three_ways(shared, headers):
    with shared.client(headers) as client:
        assert client.get("/v1/ruleset").status_code == 200
        assert client.post("/ofrep/v1/evaluate/flags", json={"context": {}}).status_code == 200


@pytest.mark.parametrize("path", ["/v1/ruleset", "/v1/ruleset/stream"])
def test_rules_are_not_for_clients(shared, path):
    with shared.client({"Authorization": f"Bearer {CLIENT}"}) as client:
        answer = client.get(path)
    assert answer.status_code == 403
    assert "clients' key" in answer.json()["errorDetails"]


def test_a_key_is_compared_in_the_same_time_however_much_of_it_is_right():
    keys = Keys(SERVER * 50, CLIENT * 50)
    nearly, far = SERVER * 49 + SERVER[:-1] + "x", "x" * len(SERVER * 50)

    def cost(key):
        began = time.process_time()
        for _ in range(2_000):
            keys.holder(key)
        return time.process_time() - began

    ratios = sorted(cost(nearly) / cost(far) for _ in range(9))
    assert 0.7 < ratios[4] < 1.4


def test_a_token_opens_for_what_it_says_and_for_no_longer():
    keys = Keys(SERVER, CLIENT)
    now = 1_000 * RENEWAL
    token = keys.token("revision.0", now)
    opened = keys.opened(token, now)
    assert (opened.seen, opened.until) == ("revision.0", now + TOKEN_LIFE)
    assert keys.opened(token, now + TOKEN_LIFE - 1) == opened
    assert keys.opened(token, now + TOKEN_LIFE) is None


def test_a_token_stays_the_same_within_a_period_so_that_streams_are_kept():
    keys = Keys(SERVER, CLIENT)
    now = 1_000 * RENEWAL
    assert keys.token("a", now) == keys.token("a", now + RENEWAL - 1)
    assert keys.token("a", now) != keys.token("a", now + RENEWAL)


def test_processes_take_each_others_tokens_and_a_changed_key_ends_them():
    token = Keys(SERVER, CLIENT).token("a", 0.0)
    assert Keys(SERVER, CLIENT).opened(token, 1.0) is not None
    assert Keys(SERVER, CLIENT + "2").opened(token, 1.0) is None
    assert Keys(SERVER + "2", CLIENT).opened(token, 1.0) is None


@pytest.mark.parametrize(
    "spoil", [str.upper, lambda text: text[:-1], lambda text: "x" + text, lambda text: ""]
)
def test_a_token_that_was_touched_opens_nothing(spoil):
    keys = Keys(SERVER, CLIENT)
    assert keys.opened(spoil(keys.token("a", 0.0)), 1.0) is None
    assert keys.opened(SERVER, 1.0) is None
