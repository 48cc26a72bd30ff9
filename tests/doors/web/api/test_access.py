"""Who may do what at every route: the expected table is here, and a route that is not in it fails."""

from contextlib import closing

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from starlette.routing import Mount

VIEWERS = ("viewer", "analyst", "editor", "admin", "agent")
ANALYSTS = ("analyst", "editor", "admin")
EDITORS = ("editor", "admin")
SDKS = ("server", "client")
ROLES = (*VIEWERS, *SDKS)
ANYBODY = (*ROLES, None)

EXPERIMENT = "/api/experiments/{experiment_id}"
TABLE = {
    # what a team does
    ("GET", "/api/openapi.json"): ANYBODY,
    ("POST", "/api/session"): ANYBODY,
    ("GET", "/api/session"): VIEWERS,
    ("DELETE", "/api/session"): VIEWERS,
    ("POST", "/api/session/password"): VIEWERS,
    ("GET", "/api/users"): ("admin",),
    ("POST", "/api/users"): ("admin",),
    ("PATCH", "/api/users/{name}"): ("admin",),
    ("POST", "/api/users/{name}/password"): ("admin",),
    ("GET", "/api/keys"): ("admin",),
    ("POST", "/api/keys"): ("admin",),
    ("POST", "/api/keys/{key_id}/revoke"): ("admin",),
    ("GET", "/api/experiments"): VIEWERS,
    ("POST", "/api/experiments"): ("editor", "admin", "agent"),
    ("GET", EXPERIMENT): VIEWERS,
    ("PUT", EXPERIMENT): EDITORS,
    ("GET", EXPERIMENT + "/checklist"): VIEWERS,
    ("GET", EXPERIMENT + "/recommendation"): VIEWERS,
    ("POST", EXPERIMENT + "/implement"): EDITORS,
    ("POST", EXPERIMENT + "/start"): EDITORS,
    ("POST", EXPERIMENT + "/stop"): EDITORS,
    ("POST", EXPERIMENT + "/extend"): EDITORS,
    ("POST", EXPERIMENT + "/notes"): ANALYSTS,
    ("POST", EXPERIMENT + "/acknowledge"): ANALYSTS,
    ("POST", EXPERIMENT + "/decide"): EDITORS,
    ("GET", EXPERIMENT + "/document"): VIEWERS,
    ("GET", "/api/reports/weekly"): VIEWERS,
    ("GET", "/api/reports/programme"): VIEWERS,
    ("GET", "/api/follow-ups"): VIEWERS,
    ("GET", EXPERIMENT + "/looks"): VIEWERS,
    ("POST", EXPERIMENT + "/looks"): ANALYSTS,
    ("GET", EXPERIMENT + "/looks/{number}"): VIEWERS,
    ("POST", EXPERIMENT + "/unseal"): EDITORS,
    ("GET", "/api/flags"): VIEWERS,
    ("GET", "/api/flags/{key}"): VIEWERS,
    ("POST", "/api/flags/{key}/evaluate"): VIEWERS,
    ("POST", "/api/flags/{key}/kill"): EDITORS,
    ("POST", "/api/flags/{key}/revive"): EDITORS,
    ("PUT", "/api/flags/{name}"): EDITORS,
    ("DELETE", "/api/flags/{name}"): EDITORS,
    **{("GET", f"/api/{one}"): VIEWERS for one in ("segments", "layers", "holdouts")},
    **{("GET", f"/api/{one}/{{name}}"): VIEWERS for one in ("segments", "layers", "holdouts")},
    **{("PUT", f"/api/{one}/{{name}}"): EDITORS for one in ("segments", "layers", "holdouts")},
    **{("DELETE", f"/api/{one}/{{name}}"): EDITORS for one in ("segments", "layers", "holdouts")},
    ("GET", "/api/metrics"): VIEWERS,
    ("GET", "/api/metrics/{name}"): VIEWERS,
    ("GET", "/api/templates"): VIEWERS,
    ("GET", "/api/templates/{name}"): VIEWERS,
    ("GET", "/api/learnings"): VIEWERS,
    ("POST", "/api/learnings"): ANALYSTS,
    ("GET", "/api/alerts"): VIEWERS,
    ("GET", "/api/events/stats"): VIEWERS,
    ("GET", "/api/events/rejected"): VIEWERS,
    ("GET", "/api/jobs"): VIEWERS,
    ("GET", "/api/audit"): ANALYSTS,
    ("GET", "/api/audit/verify"): ANALYSTS,
    # what applications do
    ("POST", "/ofrep/v1/evaluate/flags"): SDKS,
    ("POST", "/ofrep/v1/evaluate/flags/{key}"): SDKS,
    ("GET", "/ofrep/v1/stream"): (),  # opened by a token of an answer, and by no key
    ("GET", "/v1/ruleset"): ("server",),
    ("GET", "/v1/ruleset/stream"): ("server",),
    **{
        ("POST", prefix + "/" + name): SDKS
        for prefix in ("/v1", "")
        for call in ("identify", "track", "page", "screen", "group", "alias", "batch")
        for name in (call, call[0])
    },
    # what everybody may ask
    ("GET", "/v1/projects/{key}/settings"): ANYBODY,  # the key is in the address
    ("GET", "/healthz"): ANYBODY,
    ("GET", "/readyz"): ANYBODY,
    ("GET", "/upshot.js"): ANYBODY,
}
"""(method, route) -> the roles that may; None is somebody without a key."""

REFUSED = (401, 403)


def routes_of(app, api):
    """Every route of the application with each of its methods, as the router has them."""
    for route in app.routes:
        if isinstance(route, Mount):
            assert route.app is api
            for inner in iter_route_contexts(api.routes):
                yield from _methods(inner, route.path)
        else:
            yield from _methods(route, "")


def _methods(route, prefix):
    for method in sorted(set(route.methods) - {"HEAD"}):
        yield method, (prefix + route.path).replace(":path}", "}")


def test_every_route_is_in_the_table_and_the_other_way_round(running):
    found = list(routes_of(running.app, running.api))
    assert len(found) == len(set(found))
    assert set(found) == set(TABLE)


def filled(path):
    for name, value in (("number", "1"), ("experiment_id", "EXP-1999-001")):
        path = path.replace(f"{{{name}}}", value)
    return path.replace("{", "").replace("}", "")


def asked(client, method, path):
    """Ask with a body that says nothing; a stream is left once its status is known."""
    with client.stream(method, filled(path), json={} if method != "GET" else None) as answer:
        return answer.status_code


@pytest.mark.parametrize("role", [*ROLES, None])
def test_each_role_may_what_the_table_says_and_nothing_else(served, role):
    may = {}
    with served.client(role) as client:
        for method, path in TABLE:
            status = asked(client, method, path)
            assert status < 500, (method, path)
            may[method, path] = status not in REFUSED
    unkeyed = {key for key, roles in TABLE.items() if roles is ANYBODY}
    wanted = {key: role in roles for key, roles in TABLE.items()}
    assert {key: value for key, value in may.items() if key not in unkeyed} == {
        key: value for key, value in wanted.items() if key not in unkeyed
    }
    assert all(may[key] for key in unkeyed)


@pytest.mark.parametrize("user", ["viewer", "analyst", "editor", "admin"])
def test_a_user_may_what_a_key_of_the_same_role_may(served, user):
    with closing(served.browser(user)) as client:
        for (method, path), roles in TABLE.items():
            if not path.startswith("/api/") or path.startswith("/api/session"):
                continue
            assert (asked(client, method, path) not in REFUSED) == (user in roles or roles is ANYBODY), path


@pytest.mark.parametrize("credentials", ["nobody", "Bearer", "Basic !!", "", "Bearer upshot_admin_x"])
def test_what_is_no_key_opens_nothing(served, credentials):
    with httpx.Client(base_url=served.url, headers={"Authorization": credentials}) as client:
        for (method, path), roles in TABLE.items():
            if path.startswith("/api/") and roles is not ANYBODY:
                assert asked(client, method, path) == 401


def test_a_key_that_was_revoked_opens_nothing_at_once(served):
    with served.client("admin") as admin:
        made = admin.post("/api/keys", json={"role": "viewer", "source": "short"}).json()
        headers = {"Authorization": f"Bearer {made['key']}"}
        assert admin.get("/api/flags", headers=headers).status_code == 200
        admin.post(f"/api/keys/{made['id']}/revoke", json={"reason": "for the test"})
        assert admin.get("/api/flags", headers=headers).status_code == 401


def test_the_keys_of_the_environment_are_for_sdks(served):
    for key in ("server-key-0123456789", "client-key-0123456789"):
        answer = httpx.get(served.url + "/api/flags", headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == 401
