"""A workspace that declares a table of exposures: what depends on who was exposed reads it there."""

import duckdb

from upshot.bootstrap import open_workspace
from upshot.services.enrolment import phases_met


def test_phases_are_those_of_the_declared_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with duckdb.connect(tmp_path / "shop.duckdb") as shop:
        shop.execute(
            "CREATE TABLE seen AS SELECT 'u' AS who, 'control' AS arm, TIMESTAMPTZ '2026-03-02 09:00:00Z' AS met, "
            "'EXP-2026-001' AS test, unnest([1, 3]) AS phase"
        )
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "exposures.yaml").write_text(
        "exposures: {url: shop.duckdb, table: seen, unit: who, variant: arm, time: met, experiment: test, phase: phase}"
    )
    workspace = open_workspace(tmp_path / "data", None, made=True)
    try:
        assert phases_met(workspace, "EXP-2026-001") == (1, 3)
        assert phases_met(workspace, "EXP-2026-002") == ()
    finally:
        workspace.close()
