"""That each template, with a flag that has its variants, lacks nothing before its start but traffic."""

from dataclasses import replace

import pytest

from upshot.bootstrap import new_salt
from upshot.formats.catalogue import catalogue
from upshot.formats.flags import flags_from_yaml
from upshot.formats.templates import templates
from upshot.model.standards import Standards
from upshot.services.checklist import checklist
from upshot.services.experiments import propose
from upshot.services.workspace import Workspace
from upshot.store import flags
from upshot.store.control import ControlStore
from upshot.store.flags import StoredFlags

OF_DATA = {"events", "metric_data", "sample_size"}
"""What only a team's own events can bring."""


@pytest.fixture
def workspace(sqlite_store, store_clock, tmp_path):
    store = ControlStore.open(sqlite_store, store_clock)
    made = Workspace(
        store=store, flags=StoredFlags(store, "upshot"), data=tmp_path, definitions=catalogue(), standards=Standards(),
        clock=store_clock, new_salt=new_salt,
    )  # fmt: skip
    yield made
    made.close()


@pytest.mark.parametrize("worked", list(templates().values()), ids=lambda one: one.name)
def test_a_template_lacks_nothing_that_is_not_data(workspace, worked):
    variants = ", ".join(f"{name}: {name}" for name in worked.design.plan.split)
    flag = f"flags: {{{worked.design.flag}: {{variants: {{{variants}}}, default: control}}}}"
    with workspace.store.changing("ann") as change:
        flags.put(change, flags_from_yaml(flag))
    owned = replace(worked.design, plan=replace(worked.design.plan, owner="ann@example.org"))
    made = propose(workspace, owned, "ann")
    items = checklist(workspace, made.id)
    missing = {item.name: item.detail for item in items if item.status == "fail" and item.name not in OF_DATA}
    assert missing == {}
