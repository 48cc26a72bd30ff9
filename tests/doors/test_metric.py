import json
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from types import SimpleNamespace

import pytest

from upshot.doors.cli.main import main
from upshot.formats.catalogue import catalogue
from upshot.formats.event_metrics import metrics_from_yaml

SHOP = "metrics: {bought: {kind: proportion, event: Order Completed, window: 7d, description: Who bought}}"


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "shop.yaml").write_text(SHOP, encoding="utf-8")
    return tmp_path


def metric(workspace, *arguments):
    out, err = StringIO(), StringIO()
    with chdir(workspace), redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(["metric", *arguments])
    return SimpleNamespace(code=ended.value.code, out=out.getvalue(), err=err.getvalue())


WORDS = "share of units with Order Completed, within 7 days of the first exposure; higher is better"


def test_list_names_each_and_says_what_it_is(workspace):
    done = metric(workspace, "list")
    assert (done.code, done.out) == (0, f"bought (proportion)\n  {WORDS}\n  Who bought\n")
    found = json.loads(metric(workspace, "list", "--json").out)
    assert found["metrics"]["bought"] == {
        "name": "bought",
        "kind": "proportion",
        "event": "Order Completed",
        "window": "7d",
        "description": "Who bought",
        "words": WORDS,
    }


def test_show_prints_the_definition_and_its_words(workspace):
    done = metric(workspace, "show", "bought")
    assert done.code == 0
    text, _, words = done.out.partition("\n\n")
    assert metrics_from_yaml(text)["bought"].event == "Order Completed"
    assert words == f"bought is the {WORDS}\n"
    assert json.loads(metric(workspace, "show", "bought", "--json").out)["words"] == WORDS


def test_lint_tells_all_mistakes_and_exits_with_2(workspace):
    assert metric(workspace, "lint").out == f"bought (proportion)\n  {WORDS}\n"
    (workspace / "metrics" / "other.yaml").write_text("metrics: {bought: 3, n: {kind: count, event: A}}")
    done = metric(workspace, "lint")
    assert (done.code, done.out) == (2, "")
    assert "shop.yaml: metrics.bought: it is in other.yaml too: keep one of them" in done.err
    (workspace / "metrics" / "other.yaml").write_text("metrics: {n: {kind: count, event: A}}")
    found = json.loads(metric(workspace, "lint", "--json").out)
    assert set(found["metrics"]) == {"bought", "n"}
    assert found["remarks"][0]["about"] == "n"
    assert "To look at:\n  n: it has no window" in metric(workspace, "lint").out


def test_another_directory_can_be_named(workspace):
    (workspace / "none").mkdir()
    said = "there are no metrics: copy one by upshot metric catalogue NAME\n"
    for command in ("list", "lint"):
        assert metric(workspace, command, "--metrics", "none").out == said
    done = metric(workspace, "list", "--metrics", "absent")
    assert (done.code, done.err) == (
        2, "upshot: there is no directory absent: make it, or name the one that holds the metrics\n"
    )  # fmt: skip


def test_what_the_catalogue_prints_can_be_copied(workspace):
    for name in catalogue():
        text = metric(workspace, "catalogue", name).out
        (workspace / "metrics" / f"{name}.yaml").write_text(text, encoding="utf-8")
    assert metric(workspace, "lint").code == 0
    assert set(json.loads(metric(workspace, "list", "--json").out)["metrics"]) == {"bought", *catalogue()}


def test_the_catalogue_lists_all_and_says_what_it_has_not(workspace):
    assert "k_factor (count)" in metric(workspace, "catalogue").out
    assert set(json.loads(metric(workspace, "catalogue", "--json").out)["metrics"]) == set(catalogue())
    assert json.loads(metric(workspace, "catalogue", "ltv", "--json").out)["window"] == "90d"
    done = metric(workspace, "catalogue", "ltf")
    assert (done.code, done.err) == (
        2,
        "upshot: there is no metric ltf in the catalogue: did you mean ltv?\n",
    )


def test_a_metric_of_a_table_is_shown_with_its_table_and_without_what_is_secret(workspace, monkeypatch):
    monkeypatch.setenv("SHOP_URL", "postgresql://ann:hunter22@db/shop")
    text = (
        "tables: {orders: {url: $SHOP_URL, table: orders, unit: user_id, time: created_at}}\n"
        "metrics: {spent: {kind: mean, table: orders, value: usd, window: 7d}}"
    )
    (workspace / "metrics" / "tables.yaml").write_text(text, encoding="utf-8")
    done = metric(workspace, "show", "spent")
    assert (done.code, "hunter22" in done.out) == (0, False)
    shown, _, words = done.out.partition("\n\n")
    assert metrics_from_yaml(shown) == metrics_from_yaml(text)
    assert words.startswith("spent is the mean per unit of the sum of usd of rows of orders, within 7 days")
    assert json.loads(metric(workspace, "show", "spent", "--json").out)["table"] == "orders"
