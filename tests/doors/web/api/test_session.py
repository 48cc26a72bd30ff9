"""Sessions as browsers have them: cookies, other sites' pages, locks; and what is never told."""

from contextlib import closing

import pytest

from upshot.services import sessions
from upshot.services.audit import entries

COOKIE = "upshot_session"


def login(client, name="editor", password="correct horse battery", **headers):
    return client.post("/api/session", json={"name": name, "password": password}, headers=headers)


def test_a_password_opens_a_session_and_logout_ends_it(served):
    with served.client() as client:
        assert client.get("/api/session").status_code == 401
        come = login(client)
        assert (come.status_code, come.json()) == (200, {"name": "editor", "role": "editor"})
        assert client.get("/api/session").json() == come.json()
        assert client.get("/api/flags").status_code == 200
        token = client.cookies[COOKIE]
        assert client.delete("/api/session").status_code == 204
        assert COOKIE not in client.cookies
        again = client.get("/api/session", headers={"Cookie": f"{COOKIE}={token}"})
        assert again.status_code == 401
        assert "ended" in again.json()["errorDetails"]


def test_the_cookie_is_out_of_reach_of_scripts_and_of_plain_http_where_it_came_by_tls(served):
    with served.client() as client:
        plain = login(client).headers["set-cookie"]
        safe = login(client, **{"X-Forwarded-Proto": "https"}).headers["set-cookie"]
    for cookie in (plain, safe):
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert "Path=/" in cookie
    assert "Secure" not in plain
    assert "Secure" in safe


def test_each_login_gives_another_token_and_ends_the_one_that_came_with_it(served):
    with served.client() as client:
        login(client)
        first = client.cookies[COOKIE]
        login(client)
        second = client.cookies[COOKIE]
        assert first != second
        headers = {"Cookie": f"{COOKIE}={first}"}
    with served.client() as other:
        assert other.get("/api/session", headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "HERE"}, False),
        ({"Origin": "HERE"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({}, True),  # no browser
    ],
)
def test_a_session_changes_things_from_our_own_pages_only(served, headers, allowed):
    headers = {name: served.url if value == "HERE" else value for name, value in headers.items()}
    with closing(served.browser()) as client:
        client.headers.update(headers)
        path = "/api/segments/nobody"
        for method in ("PUT", "DELETE"):
            refused = client.request(method, path, json={}).status_code == 403
            assert refused == (not allowed)
        assert client.get("/api/flags").status_code == 200
        refused = login(client).status_code == 403
        assert refused == (not allowed)


def test_a_key_needs_no_page_of_ours(served):
    with served.client("editor") as client:
        other = {"Sec-Fetch-Site": "cross-site", "Origin": "https://tool.example"}
        assert client.put("/api/segments/nobody", json={}, headers=other).status_code == 400


def test_no_other_origin_may_read_what_a_session_opens(served):
    with closing(served.browser()) as client:
        answer = client.get("/api/flags", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-credentials" not in answer.headers
        asked = client.options(
            "/api/flags/x",
            headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"},
        )
        assert asked.status_code == 400


def test_who_guesses_is_locked_out_and_told_when_to_come_again(own):
    with own.client() as client:
        for _ in range(sessions.FOR_ACCOUNT):
            assert login(client, "viewer", "guess").status_code == 401
        locked = login(client, "viewer")
        assert locked.status_code == 429
        assert 0 < int(locked.headers["Retry-After"]) <= 900
        assert login(client, "analyst").status_code == 200
        admin = {"Authorization": f"Bearer {own.keys['admin']}"}
        given = client.post("/api/users/viewer/password", json={}, headers=admin).json()
        assert login(client, "viewer", given["password"]).status_code == 200


def test_a_user_changes_their_own_password_which_ends_all_of_their_sessions(own):
    with closing(own.browser("viewer")) as client, closing(own.browser("viewer")) as elsewhere:
        wrong = client.post("/api/session/password", json={"old": "guess", "new": "another good one"})
        assert wrong.status_code == 401
        short = client.post("/api/session/password", json={"old": "correct horse battery", "new": "short"})
        assert short.status_code == 400
        done = client.post(
            "/api/session/password", json={"old": "correct horse battery", "new": "another good one"}
        )
        assert done.status_code == 204
        assert elsewhere.get("/api/session").status_code == 401
        assert client.get("/api/session").status_code == 401
        assert login(client, "viewer").status_code == 401
        assert login(client, "viewer", "another good one").status_code == 200


def test_a_disabled_user_and_another_role_count_at_once(own):
    with closing(own.browser("editor")) as client, own.client("admin") as admin:
        assert client.delete("/api/segments/nobody").status_code == 404
        changed = admin.patch("/api/users/editor", json={"role": "viewer", "reason": "moved"})
        assert changed.json()["role"] == "viewer"
        assert client.delete("/api/segments/nobody").status_code == 403
        assert admin.patch("/api/users/editor", json={"disabled": True}).status_code == 200
        assert client.get("/api/session").status_code == 401
        last = admin.patch("/api/users/admin", json={"disabled": True})
        assert (last.status_code, "last admin" in last.json()["errorDetails"]) == (400, True)


def test_users_and_keys_are_given_and_listed_without_their_secrets(own):
    with own.client("admin") as client:
        made = client.post("/api/users", json={"name": "eve", "role": "viewer", "reason": "new here"})
        assert made.status_code == 201
        assert client.post("/api/users", json={"name": "eve", "role": "viewer"}).status_code == 409
        key = client.post("/api/keys", json={"role": "agent", "source": "planner"})
        assert key.status_code == 201
        lists = client.get("/api/users").text + client.get("/api/keys").text + client.get("/api/audit").text
    secrets = (made.json()["password"], key.json()["key"], "argon2", *own.keys.values())
    assert not [secret for secret in secrets if secret in lists]
    assert '"eve"' in lists
    assert '"planner"' in lists


def test_nothing_secret_is_in_logs_answers_or_the_chain(own, caplog):
    caplog.set_level("DEBUG")
    said = []
    with own.client() as client:
        said.append(login(client, "viewer", "my-secret-guess").text)
        said.append(login(client, "viewer", ["my-secret-guess"]).text)
        said.append(client.post("/api/session", content=b'"my-secret-guess"').text)
        said.append(
            client.post("/api/session", json={"name": "viewer", "password": "my-secret-guess" * 90}).text
        )
        login(client)
        token = client.cookies[COOKIE]
        client.get("/api/session")
        said.append(client.get("/api/session", headers={"Authorization": "Bearer my-secret-guess"}).text)
    logged = [
        one.getMessage() for one in caplog.records if not one.name.startswith("http")
    ]  # the client's own
    everything = "".join([*said, *logged, str(entries(own.store))])
    assert "my-secret-guess" not in everything
    assert token not in everything
    assert "correct horse" not in everything


def test_what_is_done_is_in_the_chain_under_the_name_of_who_did_it(own):
    with closing(own.browser("admin")) as client:
        client.post("/api/keys", json={"role": "viewer", "source": "board", "reason": "for the wall"})
        rows = client.get("/api/audit").json()
        assert [(row["actor"], row["action"]) for row in rows[:2]] == [
            ("admin", "key.created"),
            ("admin", "session.began"),
        ]
        assert rows[0]["reason"] == "for the wall"
        older = client.get("/api/audit", params={"before": rows[1]["number"], "limit": 1}).json()
        assert older[0]["number"] == rows[1]["number"] - 1
        proof = client.get("/api/audit/verify").json()
        assert (proof["problems"], proof["rows"]) == ([], rows[0]["number"])
    with own.client("admin") as client:
        client.post("/api/keys", json={"role": "viewer", "source": "b"})
        assert "admin (key " in client.get("/api/audit?limit=1").json()[0]["actor"]
