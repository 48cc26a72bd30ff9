import json

from click.testing import CliRunner

from upshot.doors.cli.main import cli
from upshot.formats.experiments import design_from_yaml
from upshot.formats.templates import templates


def run(*arguments):
    return CliRunner().invoke(cli, ["template", *arguments])


def test_all_templates_are_listed_with_what_they_answer():
    shown = run("list").output
    for name, worked in templates().items():
        assert f"{name} " in shown
        assert worked.about in shown


def test_what_is_shown_is_a_file_of_an_experiment():
    shown = run("show", "pricing").output
    assert design_from_yaml(shown) == templates()["pricing"].design
    assert "# What to watch out for:" in shown


def test_programs_get_the_same_as_json():
    plain = json.loads(run("show", "viral", "--json").output)
    assert plain["experiment"]["plan"]["unit_kind"] == "account"
    assert plain["sized"] == {"baseline": 2.0, "std": 6.0}
    assert [one["name"] for one in json.loads(run("list", "--json").output)["templates"]] == sorted(
        templates()
    )


def test_a_template_that_is_not_there_is_an_error_in_a_sentence():
    assert "there is no template onbarding" in str(run("show", "onbarding").exception)
