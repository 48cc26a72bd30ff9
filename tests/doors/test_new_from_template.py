from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from types import SimpleNamespace

import pytest

from upshot.bootstrap import open_store
from upshot.doors.cli.main import main
from upshot.formats.experiments import read_design
from upshot.formats.templates import template
from upshot.store import experiments

GIVEN = ("--name", "Two steps", "--owner", "ann@example.org", "--flag", "two-steps")


def new(path, *arguments):
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(["experiment", "new", *arguments, "--data", str(path / "data")])
    return SimpleNamespace(code=ended.value.code, out=out.getvalue(), err=err.getvalue())


def kept(path):
    store = open_store(path / "data")
    with store.reading() as connection:
        found = experiments.listed(connection)
    store.close()
    return found


def test_a_template_is_proposed_under_the_names_that_are_given(tmp_path):
    assert new(tmp_path, "--template", "onboarding", *GIVEN).code == 0
    (made,) = kept(tmp_path)
    assert (made.design.name, made.design.owner, made.design.flag) == (
        "Two steps",
        "ann@example.org",
        "two-steps",
    )
    assert made.plan.metrics == template("onboarding").design.plan.metrics


def test_who_proposes_it_owns_it_where_nobody_is_named(tmp_path):
    new(tmp_path, "--template", "pricing")
    (made,) = kept(tmp_path)
    assert made.design.owner
    assert made.design.flag == "annual-first"


def test_it_can_be_written_to_be_edited_and_then_be_proposed(tmp_path):
    file = tmp_path / "two-steps.yaml"
    assert (
        f"upshot experiment new {file}"
        in new(tmp_path, "--template", "onboarding", *GIVEN, "--write", str(file)).out
    )
    assert not (tmp_path / "data").exists()
    assert "# What to watch out for:" in file.read_text()
    assert read_design(file).flag == "two-steps"
    assert "is there already" in new(tmp_path, "--template", "onboarding", "--write", str(file)).err
    assert new(tmp_path, str(file)).code == 0
    (made,) = kept(tmp_path)
    assert made.design.rollback == read_design(file).rollback


def test_what_only_templates_take_is_refused_beside_a_file(tmp_path):
    done = new(tmp_path, "a.yaml", "--owner", "ann", "--write", "b.yaml")
    assert done.code != 0
    assert "--owner, --write beside a FILE" in done.err
