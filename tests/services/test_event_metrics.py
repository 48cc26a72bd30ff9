import pytest

from upshot.errors import InputError, NotFoundError, PlanError
from upshot.formats.catalogue import catalogue
from upshot.formats.event_metrics import metrics_to_yaml
from upshot.services.event_metrics import condition_findings, lint, named, read_metrics


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "metrics"


def write(directory, **files):
    directory.mkdir(exist_ok=True)
    for name, text in files.items():
        (directory / f"{name}.yaml").write_text(text, encoding="utf-8")


def test_a_set_may_be_spread_over_files_and_folders(directory):
    write(directory, a="metrics: {m: {kind: count, event: A}}")
    write(directory / "below", b="metrics: {n: {kind: count, event: A}}")
    write(directory / ".hidden", c="this: is not read")
    (directory / "notes.md").write_text("metrics: 3", encoding="utf-8")
    assert list(read_metrics(directory)) == ["m", "n"]


def test_everything_wrong_in_all_files_is_told_at_once(directory):
    write(
        directory,
        a="metrics: {m: {kind: count, event: A, where: {all: [{attr: a, op: lik, value: 3}, {segment: s}]}}}",
        b="metrics: {m: {kind: count, event: A}, n: {kind: mean, event: A}}",
        c="metrics: {f: {kind: funnel, steps: [A, {event: B, where: {attr: v, op: regex, value: '(a+)+$'}}]}}",
        d="metrics: {r: {kind: ratio, event: A, denominator: {event: B, where: {attr: v, op: gt, value: x}}}}",
    )
    (directory / "e.yaml").write_bytes(b"\xff")
    with pytest.raises(PlanError) as refused:
        read_metrics(directory)
    found = sorted(one.split(": ")[:2] for one in refused.value.problems)
    assert found == [
        ["a.yaml", "metrics.m.where.all[0].op"],
        ["a.yaml", "metrics.m.where.all[1].segment"],
        ["b.yaml", "metrics.m"],
        ["b.yaml", "metrics.n.value"],
        ["c.yaml", "metrics.f.steps[1].where.value"],
        ["d.yaml", "metrics.r.denominator.where.value"],
        ["e.yaml", "this cannot be read ('utf-8' codec can't decode byte 0xff in position 0"],
    ]


def test_a_directory_that_is_not_there_is_named(directory):
    with pytest.raises(InputError, match="there is no directory"):
        read_metrics(directory)


def test_lint_says_in_words_what_is_meant_and_what_hardly_is(directory):
    write(
        directory,
        a="""
        metrics:
          open: {kind: count, event: A}
          raw: {kind: mean, event: A, value: v, window: 7d}
          one: {kind: ratio, event: A, value: v, denominator: {event: A, value: v}, window: 7d}
        """,
    )
    found = lint(directory)
    assert found.words["open"] == "mean number of A, after the first exposure; higher is better"
    assert [(one.about, " ".join(one.sentence.split()[:4])) for one in found.remarks] == [
        ("open", "it has no window:"),
        ("raw", "it has no cap:"),
        ("one", "it divides by itself"),
    ]


def test_the_catalogue_has_nothing_to_look_at(directory):
    write(directory, all=metrics_to_yaml(catalogue()))
    assert read_metrics(directory) == catalogue()
    assert lint(directory).remarks == ()
    assert [one for metric in catalogue().values() for one in condition_findings(metric)] == []


def test_a_metric_that_is_not_there_is_suggested():
    assert named(catalogue(), "ltv", "the catalogue").name == "ltv"
    with pytest.raises(NotFoundError, match="there is no metric churm in the catalogue: did you mean churn"):
        named(catalogue(), "churm", "the catalogue")
    with pytest.raises(NotFoundError, match="there are none"):
        named({}, "churn", "metrics")
