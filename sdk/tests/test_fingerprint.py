from copy import deepcopy

import pytest

from upshot_sdk import Ruleset

RULE = {"id": "r", "when": {"segment": "early"}, "variant": "on"}
PAYLOAD = {
    "format": 1,
    "revision": "1",
    "hash": "md5/1",
    "segments": {"early": {"when": {"attr": "beta", "op": "eq", "value": True}}},
    "flags": {
        "plain": {"type": "boolean", "variants": {"on": True}, "default_variant": "on"},
        "ruled": {"type": "boolean", "variants": {"on": True}, "rules": [RULE]},
        "base": {"type": "boolean", "variants": {"on": True}, "default_variant": "on"},
        "middle": {
            "type": "boolean",
            "variants": {"on": True},
            "prerequisites": [{"flag": "base", "variants": ["on"]}],
        },
        "top": {
            "type": "boolean",
            "variants": {"on": True},
            "prerequisites": [{"flag": "middle", "variants": ["on"]}],
        },
    },
}


def changed(edit):
    payload = deepcopy(PAYLOAD)
    edit(payload)
    newer = Ruleset.from_dict(payload, strict=False)
    return set(newer.changed_since(Ruleset.from_dict(PAYLOAD)))


@pytest.mark.parametrize(
    ("edit", "keys"),
    [
        (lambda p: p.update(revision="2"), set()),
        (lambda p: p["flags"]["plain"].update(enabled=False), {"plain"}),
        (lambda p: p["flags"].pop("plain"), {"plain"}),
        (lambda p: p["flags"].update(new=p["flags"]["plain"]), {"new"}),
        (lambda p: p["segments"]["early"]["when"].update(value=False), {"ruled"}),
        (lambda p: p["flags"]["base"].update(enabled=False), {"base", "middle", "top"}),
        (lambda p: p["flags"]["middle"].update(enabled=False), {"middle", "top"}),
        (lambda p: p["flags"].update(plain=7), {"plain"}),
        (
            lambda p: p["flags"]["base"].update(prerequisites=[{"flag": "top", "variants": ["on"]}]),
            {"base", "middle", "top"},
        ),
    ],
    ids=["revision", "edited", "removed", "added", "segment", "needed", "needed by one", "broken", "circle"],
)
def test_what_a_change_can_reach(edit, keys):
    assert changed(edit) == keys


def test_what_needs_a_ruled_flag_follows_its_segments():
    payload = deepcopy(PAYLOAD)
    payload["flags"]["base"]["rules"] = [RULE]
    older = Ruleset.from_dict(payload)
    payload["segments"]["early"]["when"]["value"] = False
    assert set(Ruleset.from_dict(payload).changed_since(older)) == {"ruled", "base", "middle", "top"}


def test_a_flag_nested_too_deep_is_no_error():
    value = deep = []
    for _ in range(5000):
        deep.append([])
        deep = deep[0]
    payload = deepcopy(PAYLOAD)
    payload["flags"]["deep"] = value
    assert Ruleset.from_dict(payload, strict=False).changed_since(Ruleset.from_dict(PAYLOAD)) == ("deep",)
