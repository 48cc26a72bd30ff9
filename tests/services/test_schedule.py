import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from upshot.services.schedule import Schedule, read_schedule
from upshot_sdk import Ruleset

SECONDS = st.integers(1_700_000_000, 1_700_000_020)


def instant(seconds):
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def payload(windows):
    """A flag with one rule for each window (from, until), either of which may be missing."""
    rules = [
        {"id": f"r{number}", "variant": "on"}
        | ({"from": instant(start)} if start else {})
        | ({"until": instant(end)} if end else {})
        for number, (start, end) in enumerate(windows)
    ]
    flag = {
        "type": "boolean",
        "variants": {"on": True, "off": False},
        "default_variant": "off",
        "rules": rules,
    }
    plain = {"type": "boolean", "variants": {"on": True}, "default_variant": "on"}
    return {"format": 1, "revision": "r", "hash": "md5/1", "flags": {"later": flag, "plain": plain}}


WINDOWS = st.lists(
    st.tuples(st.none() | SECONDS, st.none() | SECONDS).filter(
        lambda window: None in window or window[0] < window[1]
    ),
    max_size=4,
)


@given(WINDOWS, SECONDS, SECONDS)
def test_within_a_stretch_answers_are_the_same(windows, one, two):
    content = payload(windows)
    schedule = read_schedule(json.dumps(content).encode())
    ruleset = Ruleset.from_dict(content)
    if schedule.stretch(one) == schedule.stretch(two):
        assert ruleset.evaluate("later", {}, now=one) == ruleset.evaluate("later", {}, now=two)


@given(WINDOWS)
def test_it_has_every_edge_once_and_in_order(windows):
    edges = {edge for window in windows for edge in window if edge is not None}
    schedule = read_schedule(json.dumps(payload(windows)).encode())
    assert schedule == Schedule(tuple(map(float, sorted(edges))))


def test_a_time_zone_is_heeded():
    content = payload([])
    content["flags"]["later"]["rules"] = [{"id": "r", "variant": "on", "from": "2026-12-01T01:00:00+01:00"}]
    assert read_schedule(json.dumps(content).encode()).times == (
        datetime(2026, 12, 1, tzinfo=UTC).timestamp(),
    )
