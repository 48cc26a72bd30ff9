"""What docs/flags.md shows is what the reader does."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from upshot.errors import PlanError
from upshot.formats.flag_schema import flags_schema
from upshot.formats.yaml_text import read_yaml
from upshot.services.flag_lint import lint
from upshot.services.flags import publish
from upshot.store.flag_files import FlagDirectory

DOCUMENT = Path(__file__).parents[2] / "docs" / "flags.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
FORMAT = TEXT[TEXT.index("# Flag files") + 1 :].partition("\n# ")[0]


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", FORMAT, flags=re.DOTALL)


@pytest.fixture(params=blocks("yaml"))
def store(request, tmp_path):
    (tmp_path / "flags.yaml").write_text(request.param, encoding="utf-8")
    return FlagDirectory(tmp_path)


def test_the_examples_can_be_published_and_editors_accept_them(store):
    published = publish(store, lambda: "salt")
    assert published.ruleset.problems == ()
    text = (Path(store.name) / "flags.yaml").read_text(encoding="utf-8")
    assert list(Draft202012Validator(flags_schema()).iter_errors(read_yaml(text, "flags"))) == []


def test_nothing_in_the_examples_is_hardly_meant(store):
    found = lint(store, lambda: "salt", datetime(2026, 11, 24, tzinfo=UTC))
    assert {remark.kind for remark in found.remarks} <= {"monitoring"}


def test_the_words_of_the_first_example_are_those_shown(tmp_path):
    (tmp_path / "flags.yaml").write_text(blocks("yaml")[0], encoding="utf-8")
    words = lint(FlagDirectory(tmp_path), lambda: "salt", datetime.now(UTC)).words["new-checkout"]
    assert blocks("text")[1].splitlines()[1:] == [f"  {line}" for line in words]


def test_the_mistakes_are_named_as_shown(tmp_path, monkeypatch):
    _, second = blocks("yaml")
    monkeypatch.chdir(tmp_path)
    Path("flags").mkdir()
    wrong = second.replace("variant: treatment\n    - id: canada", "variant: treatmnt\n    - id: canada")
    (Path("flags") / "a.yaml").write_text(wrong, encoding="utf-8")
    (Path("flags") / "b.yaml").write_text(
        "flags: {new-nav: {enable: true, percentage: 200, segments: [early-adopter]}}", encoding="utf-8"
    )
    with pytest.raises(PlanError) as error:
        publish(FlagDirectory("flags"), lambda: "salt")
    assert str(error.value).splitlines() == blocks("text")[0].splitlines()
