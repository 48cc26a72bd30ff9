"""Workspaces as code: applied, applied again, drifted, exported and read back; on SQLite and PostgreSQL."""

import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from datetime import timedelta

import pytest

from upshot.bootstrap import new_salt, open_workspace
from upshot.errors import ConflictError, InputError, PlanError
from upshot.formats.catalogue import catalogue
from upshot.formats.flags import flags_from_yaml
from upshot.model.standards import Standards
from upshot.services.as_code import apply, compare, export, read_directory
from upshot.services.defined import read_defined, stored_addresses, stored_standards
from upshot.services.workspace import Workspace
from upshot.store import definitions, experiments, flags
from upshot.store.audit import entries, verify
from upshot.store.flags import StoredFlags

FLAGS = """
flags:
  checkout:
    variants: {control: long, treatment: short}
    default: control
    rules:
    - {id: friends, when: {segment: friends}, variant: treatment}
segments:
  friends: {when: {attr: plan, op: eq, value: pro}}
"""
METRICS = """
metrics:
  bought: {kind: proportion, event: Order, window: 7d}
  spent: {kind: mean, table: orders, value: amount, window: 7d}
tables:
  orders: {url: $DATABASE_URL, table: orders, unit: user_id, time: created_at}
"""
EXPERIMENT = """
id: EXP-2026-001
name: Shorter checkout
flag: checkout
owner: ann@example.org
hypothesis: If we ask for less, more people buy, because each field loses some
plan:
  metrics: {primary: [bought]}
  split: {control: 1, treatment: 1}
  planned_units: 1500
"""


@pytest.fixture
def workspace(store, store_clock, tmp_path):
    return Workspace(
        store=store,
        flags=StoredFlags(store, "upshot"),
        data=tmp_path / "data",
        definitions=catalogue(),
        standards=Standards(),
        clock=store_clock,
        new_salt=new_salt,
    )


def write(directory, **texts):
    for name, text in texts.items():
        path = directory / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return directory


@pytest.fixture
def files(tmp_path):
    return write(
        tmp_path / "workspace",
        flags=FLAGS,
        metrics=METRICS,
        experiments__one=EXPERIMENT,
        standards="power: 90%",
        more="alerts: {growth: {to: $SLACK_URL}}",
    )


def kinds(steps):
    return {f"{one.section}/{one.name}": one.kind for one in steps}


def applied(workspace, files, **options):
    return kinds(apply(workspace, read_directory(files), "ann", **options))


def test_all_that_files_declare_is_in_the_store_in_one_change(workspace, files):
    wanted = {
        "standards/organisation", "tables/orders", "metrics/bought", "metrics/spent", "segments/friends",
        "flags/checkout", "experiments/EXP-2026-001", "alerts/growth",
    }  # fmt: skip
    assert kinds(compare(workspace, read_directory(files))) == dict.fromkeys(wanted, "create")
    assert set(applied(workspace, files)) == wanted
    store = workspace.store
    with store.reading() as connection:
        assert experiments.find(connection, "EXP-2026-001").state == "planned"
        assert len({entry.at for entry in entries(connection)}) == 1
        assert verify(connection).broken is None
    assert workspace.flags.read().applied.flags["checkout"].default == "control"
    found = read_defined(None, store)
    assert found.metrics["spent"].table.url == "$DATABASE_URL"
    assert stored_standards(store).power == 0.9
    assert stored_addresses(store, {"SLACK_URL": "slack+https://hooks.example/x"}) == (
        "slack+https://hooks.example/x",
    )
    with pytest.raises(InputError, match="the environment has no SLACK_URL"):
        stored_addresses(store, {})


def test_applying_again_does_nothing_and_comments_are_no_difference(workspace, files):
    applied(workspace, files)
    text = (files / "flags.yaml").read_text()
    (files / "flags.yaml").write_text(
        "# reviewed\n"
        + text.replace("{control: long, treatment: short}", "\n      control: long\n      treatment: short")
    )
    assert compare(workspace, read_directory(files)) == ()
    with workspace.store.reading() as connection:
        before = len(entries(connection))
    assert applied(workspace, files) == {}
    with workspace.store.reading() as connection:
        assert len(entries(connection)) == before


def test_an_edit_of_a_file_is_shown_and_applied(workspace, files):
    applied(workspace, files)
    write(files, standards="power: 80%", experiments__one=EXPERIMENT.replace("1500", "2000"))
    steps = compare(workspace, read_directory(files))
    assert kinds(steps) == {"standards/organisation": "change", "experiments/EXP-2026-001": "change"}
    assert steps[0].details == ("power: 90% -> 80%",)
    assert steps[1].details == ("plan.planned_units: 1500 -> 2000",)
    applied(workspace, files)
    assert compare(workspace, read_directory(files)) == ()


def test_what_was_changed_in_the_store_is_drift_and_not_undone_silently(workspace, files):
    applied(workspace, files)
    other = flags_from_yaml(FLAGS.replace("default: control", "default: treatment"))
    with workspace.store.changing("bob", "a test") as change:
        flags.put(change, other)
    write(files, standards="power: 80%")
    steps = compare(workspace, read_directory(files))
    assert kinds(steps) == {"standards/organisation": "change", "flags/checkout": "drift"}
    with pytest.raises(ConflictError, match="flags/checkout was changed in the store since files said it"):
        applied(workspace, files)
    assert stored_standards(workspace.store).power == 0.9, "nothing of it was applied"
    assert set(applied(workspace, files, overwrite=True)) == {"standards/organisation", "flags/checkout"}
    assert workspace.flags.read().flags.flags["checkout"].default == "control"


def test_what_was_there_before_files_were_is_no_ones_to_overwrite(workspace, files):
    with workspace.store.changing("bob") as change:
        definitions.put(change, "metrics", "bought", {"kind": "count", "event": "Order"})
        definitions.put(change, "metrics", "mine", {"kind": "count", "event": "Order"})
    steps = kinds(compare(workspace, read_directory(files)))
    assert (steps["metrics/bought"], steps["metrics/mine"]) == ("drift", "extra")


def test_what_files_no_longer_declare_goes_only_where_that_is_asked(workspace, files):
    applied(workspace, files)
    write(files, metrics="metrics: {bought: {kind: proportion, event: Order, window: 7d}}")
    (files / "more.yaml").unlink()
    assert kinds(compare(workspace, read_directory(files))) == {
        "metrics/spent": "remove", "tables/orders": "remove", "alerts/growth": "remove",
    }  # fmt: skip
    assert applied(workspace, files) == {}
    assert set(applied(workspace, files, prune=True)) == {"metrics/spent", "tables/orders", "alerts/growth"}
    assert compare(workspace, read_directory(files)) == ()


def test_a_running_experiment_keeps_its_plan_and_its_metrics(workspace, files):
    applied(workspace, files)
    with workspace.store.changing("ann") as change:
        experiments.move(change, "EXP-2026-001", "running")
    assert compare(workspace, read_directory(files)) == ()
    write(files, metrics=METRICS.replace("window: 7d}", "window: 1d}", 1))
    with pytest.raises(
        ConflictError, match="metrics/bought would be another one for EXP-2026-001, which has data"
    ):
        applied(workspace, files)
    write(files, metrics=METRICS, experiments__one=EXPERIMENT.replace("[bought]", "[spent]"))
    with pytest.raises(ConflictError, match="EXP-2026-001 has started, and its plan binds"):
        applied(workspace, files)


def test_what_is_exported_reads_back_the_same(workspace, files, tmp_path):
    applied(workspace, files)
    written = export(workspace, tmp_path / "out")
    assert sorted(path.relative_to(tmp_path / "out").as_posix() for path in written) == [
        "alerts.yaml", "experiments/EXP-2026-001.yaml", "flags.yaml", "metrics.yaml", "standards.yaml",
    ]  # fmt: skip
    assert compare(workspace, read_directory(tmp_path / "out")) == ()
    assert export(workspace, tmp_path / "out") == written
    (tmp_path / "out" / "flags.yaml").write_text("flags: {}")
    with pytest.raises(InputError, match=r"flags.yaml is there and says something else"):
        export(workspace, tmp_path / "out")


def test_every_mistake_of_every_file_is_named_at_once(files):
    again = "id: EXP-1\nplan: {metrics: {primary: [bought]}}"
    condition = "{attr: a, op: near, value: 1}"
    write(files, flags="flags: {a: {variants: {}}}", experiments__two="plan: {}", other="flgs: {}", four="- a",
          five="alerts: {x: {too: y}}", standards="powr: 1", metrics="metrics: {m: {kind: sum, event: E}}",
          six=again, seven=again, eight=f"metrics: {{c: {{kind: count, event: E, where: {condition}}}}}")  # fmt: skip
    with pytest.raises(PlanError) as refused:
        read_directory(files)
    told = "\n".join(refused.value.problems)
    for said in ("there is no section flgs: did you mean flags?", "four.yaml", "alerts.x", "did you mean power?",
                 "metrics.m.kind", "EXP-1 is in another file too", "flags.a",
                 "experiments/two.yaml"):  # fmt: skip
        assert said in told, told
    with pytest.raises(InputError, match="there is no directory"):
        read_directory(files / "nowhere")


def test_flags_in_files_are_not_taken_over(workspace, files, tmp_path):
    from upshot.store.flag_files import FlagDirectory

    with pytest.raises(InputError, match="flags of this workspace are in files already"):
        compare(replace(workspace, flags=FlagDirectory(tmp_path)), read_directory(files))


def test_a_process_killed_in_the_middle_leaves_all_or_nothing(files, tmp_path):
    """Killed after some number of statements: the chain is whole, and the next apply does all of it or nothing."""
    script = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        from sqlalchemy import event
        from upshot.bootstrap import open_workspace
        from upshot.services.as_code import apply, read_directory
        data, files, after = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
        workspace = open_workspace(data, made=True)
        count = 0
        def counted(*_):
            global count
            count += 1
            if count == after:
                os.kill(os.getpid(), signal.SIGKILL)
        event.listen(workspace.store._engine, "before_cursor_execute", counted)
        apply(workspace, read_directory(files), "ann")
        print(count)
    """)
    left = set()
    for after in (1, 40, 90, 10_000):
        data = tmp_path / f"data-{after}"
        run = [sys.executable, "-c", script, str(data), str(files), str(after)]
        done = subprocess.run(run, capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        workspace = open_workspace(data, made=True)
        left.add(len(compare(workspace, read_directory(files))))
        apply(workspace, read_directory(files), "ann")
        assert compare(workspace, read_directory(files)) == ()
        with workspace.store.reading() as connection:
            assert verify(connection).broken is None
        workspace.close()
    assert left == {0, 8}


def test_an_edit_meanwhile_counts(workspace, files, store_clock):
    applied(workspace, files)
    store_clock.now += timedelta(days=1)
    declared = read_directory(files)
    with workspace.store.changing("bob") as change:
        definitions.put(change, "standards", "organisation", {"power": "70%"})
    with pytest.raises(ConflictError):
        apply(workspace, declared, "ann")
