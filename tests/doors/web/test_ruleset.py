import json

import pytest

from upshot.model.flag import Flag
from upshot_sdk import Ruleset

MANY = tuple(
    Flag(key=f"flag-{number}", type="string", variants={"a": "x" * 50, "b": "y"}, default="a")
    for number in range(200)
)


def test_the_ruleset_is_what_the_sdk_reads(shared):
    with shared.client() as client:
        answer = client.get("/v1/ruleset")
    ruleset = Ruleset.from_json(answer.content, strict=True)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["etag"] == f'"{ruleset.revision}"'
    assert ruleset.evaluate("price", {}, 0.0).value == 1.0


def test_a_known_revision_is_not_sent_again(shared):
    with shared.client() as client:
        tag = client.get("/v1/ruleset").headers["etag"]
        for header in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = client.get("/v1/ruleset", headers={"If-None-Match": header})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert client.get("/v1/ruleset", headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_large_ruleset_is_compressed_for_those_who_take_it(start):
    with start(MANY) as running, running.client() as client:
        plain = client.get("/v1/ruleset", headers={"Accept-Encoding": "identity"})
        zipped = client.get("/v1/ruleset", headers={"Accept-Encoding": "br, gzip"})
        assert "content-encoding" not in plain.headers
        assert zipped.headers["content-encoding"] == "gzip"
        assert zipped.headers["vary"].startswith("Accept-Encoding")
        assert zipped.json() == plain.json()
        assert int(zipped.headers["content-length"]) < int(plain.headers["content-length"]) / 5
        assert plain.headers["etag"] != zipped.headers["etag"], "a strong tag is one for these very bytes"
        for tag in (plain.headers["etag"], zipped.headers["etag"]):
            assert client.get("/v1/ruleset", headers={"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize("accepted", ["gzip;q=0", "br", "", "gzip; q=0.0"])
def test_who_does_not_take_gzip_gets_none(start, accepted):
    with start(MANY) as running, running.client() as client:
        answer = client.get("/v1/ruleset", headers={"Accept-Encoding": accepted})
    assert "content-encoding" not in answer.headers
    assert len(json.loads(answer.content)["flags"]) == 200
