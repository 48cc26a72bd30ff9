import re
from pathlib import Path

import pytest
from openfeature import api

DOCUMENT = Path(__file__).parents[2] / "docs" / "openfeature.md"
WHOLE = [[0, 2**32]]
EXPERIMENT = {"id": "E", "phase": 1, "salt": "s", "traffic": WHOLE, "split": {"on": WHOLE}}
PAYLOAD = {
    "format": 1,
    "revision": "r1",
    "hash": "md5/1",
    "flags": {
        "new-checkout": {
            "type": "boolean",
            "variants": {"off": False, "on": True},
            "default_variant": "off",
            "rules": [{"id": "exp", "experiment": EXPERIMENT}],
        }
    },
}


@pytest.fixture
def served(serve, monkeypatch, tmp_path):
    server = serve(PAYLOAD)
    monkeypatch.setenv("UPSHOT_URL", server.url)
    monkeypatch.setenv("UPSHOT_SERVER_KEY", server.key)
    monkeypatch.setenv("UPSHOT_SDK_DIR", str(tmp_path))
    return server


def test_the_document_does_what_it_says(served, capsys):
    names = {}
    blocks = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    *blocks, leaving = blocks
    try:
        for block in blocks:
            exec(block, names)
        assert capsys.readouterr().out == "three steps\n"
        served.publish({**PAYLOAD, "revision": "r2", "flags": {}})
        printed = []
        assert served.wait_for(lambda: printed.append(capsys.readouterr().out) or any(printed))
        assert "".join(printed) == "changed: ['new-checkout']\n"
    finally:
        exec(leaving, names)
    assert names["client"].state == "closed"
    assert api.get_provider_metadata().name == "No-op Provider"
    (exposure,) = served.tracked("Experiment Viewed")
    (purchase,) = served.tracked("Purchase")
    assert exposure["properties"]["unit_id"] == purchase["userId"] == "user-42"
    assert purchase["properties"] == {"currency": "EUR", "value": 12.5}
