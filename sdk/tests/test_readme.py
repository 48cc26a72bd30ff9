import json
import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
PAYLOAD = {
    "format": 1,
    "revision": "r1",
    "hash": "md5/1",
    "flags": {
        "checkout": {
            "type": "string",
            "variants": {"old": "one-page", "new": "three-steps"},
            "default_variant": "old",
            "rules": [{"id": "ca", "when": {"attr": "country", "op": "eq", "value": "CA"}, "variant": "new"}],
        }
    },
}


def test_the_readme_does_what_it_says(serve, monkeypatch, tmp_path):
    server = serve(PAYLOAD)
    monkeypatch.setenv("UPSHOT_URL", server.url)
    monkeypatch.setenv("UPSHOT_SERVER_KEY", server.key)
    monkeypatch.setenv("UPSHOT_SDK_DIR", str(tmp_path))
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    names = {"text": json.dumps(PAYLOAD)}
    for block in blocks:
        exec(block, names)
        assert names["answer"].value == "three-steps"
        del names["answer"]
    assert names["client"].close()
    assert [found["properties"] for found in server.tracked("Purchase")] == [{"value": 12.5}]
