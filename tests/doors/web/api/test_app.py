"""What all of the API has in common: its description, its mistakes, its limits."""

import gzip

import pytest


def test_it_describes_itself_in_openapi_31(served):
    with served.client() as client:
        described = client.get("/api/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    assert described["servers"] == [{"url": "/api"}]
    assert "/experiments/{experiment_id}/decide" in described["paths"]
    assert "422" not in str(described["paths"])
    operations = [one for path in described["paths"].values() for one in path.values()]
    names = [one["operationId"] for one in operations]
    assert len(set(names)) == len(names)
    assert all(one["summary"] for one in operations)
    assert all(one["responses"]["401"] for one in operations)


def test_there_is_no_page_that_loads_scripts_from_elsewhere(served):
    with served.client("admin") as client:
        assert client.get("/api/docs").status_code == 404
        assert client.get("/api/redoc").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"),
    [
        ("GET", "/api/nothing", None, 404, "there is no /api/nothing here"),
        ("PUT", "/api/session", {}, 405, "/api/session does not take PUT"),
        ("GET", "/api/experiments?limit=0", None, 400, "limit is '0'"),
        ("GET", "/api/experiments?state=sold", None, 400, "state is 'sold'"),
        ("GET", "/api/experiments/EXP-1999-001", None, 404, "there is no experiment EXP-1999-001"),
        ("GET", "/api/experiments/a%00b", None, 400, "null character"),
        ("GET", "/api/flags?limit=1%00", None, 400, "null character"),
        ("POST", "/api/experiments", {"design": {}}, 400, "plan is missing"),
        ("POST", "/api/experiments", {}, 400, "design is missing"),
        ("POST", "/api/experiments", {"design": {}, "why": ""}, 400, "why is '': it is not known here"),
        ("POST", "/api/experiments", [], 400, "the body cannot be used"),
        ("POST", "/api/keys", {"role": "root", "source": "a"}, 400, "role is 'root'"),
        ("PUT", "/api/flags/x", {"fields": {"type": "colour"}}, 400, "flags.x.type"),
        ("GET", "/api/metrics/nothing", None, 404, "nothing"),
        ("GET", "/api/templates/nothing", None, 404, "there is no template nothing"),
        ("GET", "/api/audit/verify?head=x", None, 400, "the head is 'x'"),
        ("GET", "/api/learnings?text=%2C", None, 400, "has no word to look for"),
    ],
)
def test_mistakes_have_one_shape(served, method, path, body, status, said):
    with served.client("admin") as client:
        answer = client.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert set(told) == {"errorDetails", "problems"}
    assert said in told["errorDetails"]
    assert said in " ".join(told["problems"])


def test_all_mistakes_are_named_at_once(served):
    with served.client("admin") as client:
        answer = client.post(
            "/api/experiments",
            json={"design": {"name": "a", "plan": {"metrics": ["a"], "alpha": 2}, "type": "b"}},
        )
    assert len(answer.json()["problems"]) > 1


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "the body is no JSON"),
        (b'{"reason": NaN}', 400, "the body is no JSON"),
        (b"[" * 100_000 + b"]" * 100_000, 400, "the body is no JSON"),
        (b'{"reason": "\xff"}', 400, "the body is no JSON"),
        (b'{"reason": "' + b"a" * 2_000_000 + b'"}', 413, "larger than"),
    ],
)
def test_what_is_no_body_is_refused_before_it_is_read(served, body, status, said):
    with served.client("admin") as client:
        answer = client.post("/api/keys", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, said in answer.json()["errorDetails"]) == (status, True)


def test_a_body_may_be_gzip_and_no_bomb(served):
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    with served.client("admin") as client:
        fine = client.post(
            "/api/keys", content=gzip.compress(b'{"role":"viewer","source":"zip"}'), headers=headers
        )
        bomb = client.post("/api/keys", content=gzip.compress(b" " * 50_000_000), headers=headers)
        other = client.post("/api/keys", content=b"x", headers=headers | {"Content-Encoding": "br"})
    assert (fine.status_code, bomb.status_code, other.status_code) == (201, 413, 415)


def test_half_characters_become_whole_ones(served):
    body = rb'{"role": "viewer", "source": "a\ud83d"}'
    with served.client("admin") as client:
        made = client.post("/api/keys", content=body, headers={"Content-Type": "application/json"})
    assert made.json()["source"] == "a\ufffd"


def test_a_fault_of_ours_is_answered_without_its_inside(served, monkeypatch, caplog):
    def broken(*_, **__):
        raise RuntimeError("secret inside")

    monkeypatch.setattr("upshot.services.keys.listed", broken)
    with served.client("admin") as client:
        answer = client.get("/api/keys")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "secret inside" in caplog.text


def test_lists_come_in_parts(served):
    with served.client("admin") as client:
        first = client.get("/api/templates?limit=5").json()
        assert (len(first["items"]), first["next"]) == (5, 5)
        rest = client.get("/api/templates", params={"offset": first["next"]}).json()
        whole = client.get("/api/templates").json()
    assert first["items"] + rest["items"] == whole["items"]
    assert (len(whole["items"]), rest["next"]) == (whole["total"], None)
