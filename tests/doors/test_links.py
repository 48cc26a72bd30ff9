"""`upshot analyze --links`: told in words, one sentence for each mistake, and a look of its own."""

import json
import re

import pytest

from upshot.doors.cli.main import main

ROWS = "id,group,converted\n" + "".join(
    f"{kind}-{number},{'control' if number % 2 else 'treatment'},{int(number % 3 == 0)}\n"
    for kind in ("phone", "laptop")
    for number in range(100)
)
LINKS = "anonymous_id,user_id\n" + "".join(
    f"{kind}-{number},user-{number}\n" for kind in ("phone", "laptop") for number in range(50)
)


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """Analyse the rows with more options; gives exit code, output, errors."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text(ROWS)
    (tmp_path / "links.csv").write_text(LINKS)

    def call(*options, data=("rows.csv", "--variant", "group", "--metric", "converted")):
        with pytest.raises(SystemExit) as ended:
            main(["analyze", *data, *options])
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return call


def test_it_says_who_is_whom(run):
    code, out, _ = run("--unit", "id", "--links", "links.csv")
    assert code == 0
    assert "200 values of id are 150 persons by 100 links (at most 3 ids for one)" in " ".join(out.split())


def test_persons_are_counted_once(run):
    found = json.loads(run("--unit", "id", "--links", "links.csv", "--json")[1])
    assert {name: one["n"] for name, one in found["metrics"][0]["variants"].items()} == {
        "control": 75,
        "treatment": 75,
    }
    checks = {check["name"]: check["status"] for check in found["checks"]}
    assert (checks["exposure_conflicts"], checks["duplicate_rows"]) == ("pass", "pass")


def test_the_printed_query_has_persons(run):
    out = run("--unit", "id", "--links", "links.csv", "--sql")[1]
    assert re.search(r"COALESCE\(\s*\"\w+\".\"_person\"", out)


def test_with_links_it_is_another_question(run, tmp_path):
    for options in ((), ("--links", "links.csv"), ()):
        out = run("--unit", "id", *options)[1]
        assert "times before" not in out
        assert "once before" not in out
    assert len(list((tmp_path / ".upshot" / "looks").iterdir())) == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ("--links", "links.csv"),
            "links say which units are one person: name the column of units with --unit",
        ),
        (("--unit", "id", "--links", "linksss.csv"), "there is no file linksss.csv: did you mean links.csv"),
        (("--unit", "id", "--links", "rows.csv"), "links rows.csv: give two columns"),
        (("--unit", "id", "--links", "bare.csv"), "the first line, phone-0,user-0, has ids of the data"),
        (("--unit", "idd", "--links", "links.csv"), "there is no column 'idd'; did you mean 'id'"),
    ],
)
def test_mistakes_are_one_sentence(run, tmp_path, options, says):
    (tmp_path / "bare.csv").write_text(LINKS.partition("\n")[2])
    code, out, err = run(*options)
    assert (code, out) == (2, "")
    assert says in err
    assert len(err.strip().splitlines()) == 1


def test_bare_counts_have_nobody_to_link(run):
    code, _, err = run("--links", "links.csv", data=("--counts", "control=1/10", "treatment=2/10"))
    assert code == 2
    assert "--links with --counts" in err
