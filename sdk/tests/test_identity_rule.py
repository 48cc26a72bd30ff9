"""The identity rule from end to end: browsers, a WSGI application, the client, the wire, links, the analysis.

People visit on two devices, log in on both, and some buy. Where both devices drew one variant a person is one unit;
where they drew two, a conflict.
"""

import csv
import json
from http.cookies import SimpleCookie

import pytest
from checkout import PAYLOAD

from upshot.doors.cli.main import main
from upshot_sdk import Client
from upshot_sdk.wsgi import FlagsMiddleware

PEOPLE = 60


def shop(environ, start_response):
    flags = environ["upshot.flags"]
    variant = flags.variant("checkout")
    if environ["PATH_INFO"] == "/buy":
        flags.track("Purchase", {"value": 1})
    start_response("200 OK", [])
    return [variant.encode()]


class Browser:
    """Keeps the cookie, and sends it again."""

    def __init__(self, app):
        self.app, self.cookie = app, ""

    def visit(self, path="/", user=""):
        headers = []
        environ = {
            "PATH_INFO": path,
            "REMOTE_USER": user,
            "HTTP_COOKIE": self.cookie,
            "wsgi.url_scheme": "https",
        }
        body = b"".join(self.app(environ, lambda _, given: headers.extend(given)))
        for name, value in headers:
            if name == "Set-Cookie":
                self.cookie = f"upshot_id={SimpleCookie(value)['upshot_id'].value}"
        return body.decode()


@pytest.fixture
def lived(serve, tmp_path):
    """What sixty people did; gives the messages that arrived, and who met which variants."""
    platform = serve(PAYLOAD)
    met = {}
    with Client(platform.url, platform.key, directory=tmp_path / "sdk", stream=False) as client:
        app = FlagsMiddleware(shop, client, user=lambda environ: environ["REMOTE_USER"])
        for number in range(PEOPLE):
            person, devices = f"person-{number}", (Browser(app), Browser(app))
            before = [device.visit() for device in devices]
            after = [device.visit(user=person) for device in devices]
            assert after == before
            if number % 3 == 0:
                devices[number % 2].visit("/buy", user=person)
            met[person] = set(before)
        Browser(app).visit()  # one who never logs in
        assert client.flush()
    return platform, met


def test_one_variant_is_one_person_and_two_are_a_conflict(lived, tmp_path, capsys):
    platform, met = lived
    exposures = platform.tracked("Experiment Viewed")
    assert len(exposures) == 2 * PEOPLE + 1
    buyers = [one["userId"] for one in platform.tracked("Purchase")]
    rows = [
        (one["properties"]["unit_id"], one["properties"]["variant"], one["timestamp"], 0) for one in exposures
    ]
    rows += [(user, "", "", 1) for user in buyers]  # an outcome of the user, who has no exposure of their own
    links = [(one["anonymousId"], one["userId"]) for one in platform.messages if one["type"] == "identify"]
    write(tmp_path / "rows.csv", ("id", "variant", "time", "bought"), rows)
    write(tmp_path / "links.csv", ("anonymous_id", "user_id"), links)
    found = analyzed(tmp_path, capsys)

    same = [variants for variants in met.values() if len(variants) == 1]
    conflicts = PEOPLE - len(same)
    assert conflicts > 10
    stranger = exposures[-1]["properties"]["variant"]
    shares = found["metrics"][0]["variants"]
    for variant in ("control", "treatment"):
        assert shares[variant]["n"] == same.count({variant}) + (stranger == variant)
        bought = sum(met[user] == {variant} for user in buyers)
        assert shares[variant]["mean"] == pytest.approx(bought / shares[variant]["n"])
    check = next(one for one in found["checks"] if one["name"] == "exposure_conflicts")
    assert (check["status"], check["detail"].split(" in several")[0]) == (
        "fail", f"{conflicts} units of {PEOPLE + 1} ({round(100 * conflicts / (PEOPLE + 1))}%)",
    )  # fmt: skip


def write(path, header, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def analyzed(folder, capsys):
    arguments = [
        "analyze",
        str(folder / "rows.csv"),
        "--unit",
        "id",
        "--variant",
        "variant",
        "--metric",
        "bought",
    ]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--links", str(folder / "links.csv"), "--json", "--no-looks"])
    out, err = capsys.readouterr()
    assert (ended.value.code or 0, err) == (0, "")
    return json.loads(out)
