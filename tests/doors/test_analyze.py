import json
import os
import re
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from upshot.doors.cli.main import main


@pytest.fixture
def run(capsys):
    """Run a command in this process; returns exit code, output, errors."""

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return call


@pytest.fixture
def visits(tmp_path):
    """4,000 users, control converts at 10% and treatment at 14%."""
    rng = np.random.default_rng(1)
    n = 4000
    group = np.where(np.arange(n) % 2 == 0, "control", "treatment")
    converted = (rng.random(n) < np.where(group == "control", 0.10, 0.14)).astype(int)
    before = rng.gamma(2, 10, n)
    table = pa.table({
        "user_id": [f"u{i}" for i in range(n)], "group": group, "converted": converted,
        "revenue": before * 0.5 + rng.gamma(2, 5, n), "revenue_before": before,
        "country": np.where(rng.random(n) < 0.5, "DE", "FR"), "crashed": (rng.random(n) < 0.001).astype(int),
        "load_ms": rng.lognormal(6, 0.5, n),
        "shop": [f"{name}{i // 80}" for i, name in enumerate(group)],
        "town": [f"{name}{i // 400}" for i, name in enumerate(group)],
    })  # fmt: skip
    path = tmp_path / "visits.csv"
    pyarrow.csv.write_csv(table, path)
    return path


COMMON = ("--unit", "user_id", "--variant", "group")


def test_json_is_the_contract(run, visits):
    code, out, _ = run("analyze", visits, *COMMON, "--metric", "converted", "--metric",
                       "revenue,mean,covariate=revenue_before", "--guardrail", "crashed,max=1%",
                       "--guardrail", "load_ms,p95,max=3000", "--segment", "country",
                       "--json", "--no-looks")  # fmt: skip
    assert code == 0
    found = json.loads(out)
    assert {
        "format",
        "unit",
        "control",
        "monitoring",
        "alpha",
        "look",
        "checks",
        "metrics",
        "segments",
        "verdict",
    } <= set(found)
    assert [one["name"] for one in found["checks"]] == [
        "sample_ratio", "exposure_conflicts", "duplicate_rows", "missing_outcomes", "unseen_variants", "outliers",
        "pre_period", "sample_size",
    ]  # fmt: skip
    assert {one["status"] for one in found["checks"]} <= {"pass", "warn", "fail", "skipped"}
    for metric in found["metrics"]:
        assert {"name", "kind", "role", "variants", "comparisons"} <= set(metric)
        for one in metric["comparisons"]:
            assert {"variant", "effect", "std_error", "interval", "interval_unadjusted", "lift", "lift_interval",
                    "p_value", "p_value_adjusted", "tests", "significant", "method", "p_win"} <= set(one)  # fmt: skip
            empty = [k for k, v in one.items() if v is None or (isinstance(v, list) and None in v)]
            assert set(empty) == set(one["reasons"])
    assert set(found["segments"]["country"]) == {"DE", "FR"}
    assert {"verdict", "cause", "headline", "reasons", "variants"} <= set(found["verdict"])


def test_exit_code_tells_the_verdict(run, visits):
    code, _, _ = run("analyze", visits, *COMMON, "--metric", "converted", "--exit-code", "--no-looks")
    assert code == 10


def test_output_reads_without_colour_in_80_columns(visits):
    env = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1"}
    command = [
        sys.executable,
        "-m",
        "upshot",
        "analyze",
        visits,
        *COMMON,
        "--metric",
        "converted",
        "--no-looks",
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "SHIP" in done.stdout
    assert "better" in done.stdout


def test_reports_are_written(run, visits, tmp_path):
    code, out, _ = run("analyze", visits, *COMMON, "--metric", "converted", "--report", tmp_path / "out.html",
                       "--report", tmp_path / "out.md", "--no-looks")  # fmt: skip
    assert code == 0
    assert "report:" in out
    assert "<html" in (tmp_path / "out.html").read_text()
    assert "## Results" in (tmp_path / "out.md").read_text()


def test_sql_is_the_query_that_gives_the_numbers(run, visits):
    import duckdb

    code, out, _ = run("analyze", visits, *COMMON, "--metric", "converted", "--sql")
    assert code == 0
    assert "GROUP BY" in out
    assert "user_id" in out
    with duckdb.connect() as con:
        name = re.search(r'"(ibis_csv\w+)"', out).group(1)
        con.execute(f"CREATE TABLE \"{name}\" AS SELECT * FROM read_csv('{visits}')")
        sql = re.sub(rf'"\w+"\."\w+"\."{name}"', f'"{name}"', out)
        rows = con.execute(sql).to_arrow_table().to_pylist()
    found = json.loads(run("analyze", visits, *COMMON, "--metric", "converted", "--json", "--no-looks")[1])
    sizes = {name: one["n"] for name, one in found["metrics"][0]["variants"].items()}
    assert sizes == {"control": 2000, "treatment": 2000}
    assert any(sum(row[key] == 2000 for row in rows) == 2 for key in rows[0]), rows


CASES = {
    "proportion": ("--metric", "converted"),
    "mean": ("--metric", "revenue"),
    "cuped": ("--metric", "revenue,covariate=revenue_before"),
    "ratio": ("--metric", "revenue,per=revenue_before"),
    "quantile": ("--metric", "load_ms,p90"),
    "exact": ("--metric", "crashed"),
    "100 clusters": ("--metric", "revenue", "--cluster", "shop"),
    "20 clusters": ("--metric", "revenue", "--cluster", "town"),
}


@pytest.mark.parametrize("case", CASES)
def test_explain_gives_the_same_digits_when_pasted(run, visits, tmp_path, case):
    code, out, _ = run("analyze", visits, *COMMON, *CASES[case], "--explain", "--no-looks")
    assert code == 0
    source = out[out.index("\n# ", out.index("Primary")) :]
    script = tmp_path / "pasted.py"
    script.write_text(source)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    promised = re.findall(r"^print\('(\w+)', \w+\)  # (.*)$", source, re.MULTILINE)
    printed = [line.split(" ", 1) for line in done.stdout.splitlines()]
    assert len(promised) == len(printed) >= 4
    rel = 1e-6 if case != "exact" else 2e-3  # scipy's Boschloo searches; its last digits are its own
    for (name, ours), (label, theirs) in zip(promised, printed, strict=True):
        assert name == label
        assert np.ravel(eval(theirs)) == pytest.approx(np.ravel(eval(ours)), rel=rel)


def test_growing_data_without_a_plan_turns_always_valid(run, visits):
    arguments = ("analyze", visits, *COMMON, "--metric", "converted", "--json")
    first = json.loads(run(*arguments)[1])
    again = json.loads(run(*arguments)[1])
    assert first["monitoring"] == again["monitoring"] == "fixed"
    with visits.open("a") as file:
        file.writelines(
            f"new{i},{'control' if i % 2 else 'treatment'},{i % 7 == 0:d},1.0,1.0,DE,0,400,a,b\n"
            for i in range(400)
        )
    code, out, _ = run(*arguments)
    third = json.loads(out)
    assert code == 0
    assert third["monitoring"] == "always_valid"
    assert third["look"]["number"] == 2
    assert "always-valid" in third["notes"][-1]
    width = [np.diff(one["metrics"][0]["comparisons"][0]["interval"])[0] for one in (first, third)]
    assert width[1] > width[0]
    assert len(list((visits.parent / ".upshot" / "looks").iterdir())) == 1


def test_many_rows_a_unit_and_none_agree(run, visits, tmp_path):
    rows = pyarrow.csv.read_csv(visits)
    log = tmp_path / "log.parquet"
    pyarrow.parquet.write_table(pa.concat_tables([rows, rows.slice(0, 500)]), log)
    one = json.loads(run("analyze", visits, *COMMON, "--metric", "converted", "--json", "--no-looks")[1])
    many = json.loads(run("analyze", log, *COMMON, "--metric", "converted", "--json", "--no-looks")[1])
    assert one["metrics"] == many["metrics"]
    duplicate = next(check for check in many["checks"] if check["name"] == "duplicate_rows")
    assert duplicate["numbers"]["rows"] == 500


def test_several_files_name_their_variants(run, visits, tmp_path):
    rows = pyarrow.csv.read_csv(visits)
    for name in ("control", "treatment"):
        kept = rows.filter(pa.compute.equal(rows["group"], name))
        pyarrow.csv.write_csv(kept, tmp_path / f"{name}.csv")
    arguments = [f"{name}={tmp_path / f'{name}.csv'}" for name in ("control", "treatment")]
    split = json.loads(run("analyze", *arguments, "--unit", "user_id", "--metric", "converted", "--json")[1])
    one = json.loads(run("analyze", visits, *COMMON, "--metric", "converted", "--json", "--no-looks")[1])
    assert split["metrics"] == one["metrics"]


def bad(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    return path


ROWS = "user_id,group,converted,revenue,note\n" + "".join(
    f"{i},{'control' if i % 2 else 'treatment'},{i % 3 == 0:d},{i}.5,x\n" for i in range(40)
)

BAD = {
    "missing column": (("--metric", "convertd"), r"no column 'convertd'; did you mean 'converted'\?"),
    "unknown variant": (
        ("--metric", "converted", "--split", "control=1,other=1"),
        "split names other, which no row of 'group' has: it has treatment",
    ),
    "control not found": (("--metric", "converted", "--control", "base"), "control is 'base', which no row"),
    "one variant only": (
        ("--metric", "converted", "--where", "\"group\" = 'control'"),
        "needs a second variant",
    ),
    "no rows": (("--metric", "converted", "--where", "converted = 7"), "there are no rows"),
    "bad where": (("--metric", "converted", "--where", "convertd =="), "it is no condition over this table"),
    "text outcome": (("--metric", "note"), "holds text, not numbers"),
    "unknown kind": (("--metric", "converted,median"), "median"),
    "unknown option": (("--metric", "converted,cpa=99%"), "cpa"),
    "no metric": ((), "name at least one outcome"),
    "alpha outside": (("--metric", "converted", "--alpha", "2"), "alpha"),
    "split that does not sum": (
        ("--metric", "converted", "--split", "control=0.5,treatment=0.4"),
        "adds up to 0.9",
    ),
    "split without numbers": (("--metric", "converted", "--split", "control,treatment"), "write NAME=WEIGHT"),
    "report without folder": (
        ("--metric", "converted", "--report", "nowhere/out.html"),
        "there is no folder",
    ),
    "report of no kind": (("--metric", "converted", "--report", "out.pdf"), r"ends in \.html or \.md"),
    "time that is none": (("--metric", "converted", "--time", "note"), "is 'note' a column of times"),
    "unknown check": (("--metric", "converted", "--acknowledge", "ratio=bots"), "there is no such check"),
    "plan and its own option": (
        ("--metric", "converted", "--plan", "p.yaml"),
        "^upshot: --metric with --plan",
    ),
    "not a proportion": (("--metric", "revenue,proportion"), "something else than 0 and 1"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_writes_nothing(run, tmp_path, case):
    options, says = BAD[case]
    path = bad(tmp_path, "data.csv", ROWS)
    code, out, err = run("analyze", path, *COMMON, *options)
    assert code == 2
    assert out == ""
    assert re.search(says, err), err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["data.csv"]


FILES = {
    "empty": (b"", "is empty"),
    "header only": (b"user_id,group,converted\n", "there are no rows|empty in every row"),
    "half-written parquet": (b"PAR1\x00\x01\x02", "cannot be read"),
}


@pytest.mark.parametrize("case", FILES)
def test_bad_files_are_one_sentence(run, tmp_path, case):
    content, says = FILES[case]
    path = tmp_path / ("data.parquet" if "parquet" in case else "data.csv")
    path.write_bytes(content)
    code, _, err = run("analyze", path, *COMMON, "--metric", "converted")
    assert code == 2
    assert re.search(says, err), err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        (("control=-1/10", "treatment=2/10"), "cannot be negative"),
        (("control=11/10", "treatment=2/10"), "more successes than trials"),
        (("control=1:10", "treatment=2/10"), "write NAME=SUCCESSES/TRIALS"),
        (("control=1/10",), "needs a second variant"),
        (("control=1/10", "treatment=2/10", "--segment", "country"), "--segment with --counts"),
        (("control=1/10", "treatment=2/10", "--metric", "a", "--metric", "b"), "counts are of one metric"),
        (("a=1/10", "b=2/10"), None),
    ],
)
def test_bad_counts_are_one_sentence(run, counts, says):
    code, _, err = run("analyze", "--counts", *counts)
    assert code == (2 if says else 0)
    assert says is None or says in err


def test_a_plan_with_five_mistakes_names_all_five(run, visits, tmp_path):
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "alpha: 2\npower: 80\nmonitoring: sometimes\nminimun_effect: 0.05\nsplit: {control: 0.5, treatment: 0.4}\n"
        "metrics: [converted]\n"
    )
    code, out, err = run("analyze", visits, *COMMON, "--plan", plan)
    assert code == 2
    assert out == ""
    for field in ("alpha", "power", "monitoring", "minimun_effect", "split"):
        assert re.search(rf"^  - .*{field}", err, re.MULTILINE), err


def test_a_missing_file_suggests_a_near_one(run, visits):
    code, _, err = run("analyze", visits.with_name("visit.csv"), *COMMON, "--metric", "converted")
    assert code == 2
    assert "did you mean" in err
    assert "visits.csv" in err
