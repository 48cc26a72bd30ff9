"""A ruleset of one flag, which an experiment splits in halves."""

HALF = 1 << 31
EXPERIMENT = {
    "id": "EXP-2026-001", "phase": 1, "salt": "s", "unit": "targetingKey",
    "traffic": [[0, 2 * HALF]], "split": {"control": [[0, HALF]], "treatment": [[HALF, 2 * HALF]]},
}  # fmt: skip
PAYLOAD = {
    "format": 1, "revision": "r1", "hash": "md5/1",
    "flags": {"checkout": {
        "type": "string", "variants": {"control": "old", "treatment": "new"},
        "rules": [{"id": "exp", "experiment": EXPERIMENT}],
    }},
}  # fmt: skip
