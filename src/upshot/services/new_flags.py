"""New flags that nobody asked a question about: each gets a drafted experiment, and people are told.

A flag with several variants, without an experiment and without a day on which it should be gone, is a decision that
nobody writes down. The draft is a worked template under the flag's own names; it starts by nobody's hand but yours.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from upshot.formats.templates import template
from upshot.model.experiment import Design
from upshot.model.flag import Flag
from upshot.services.alerts import Alerts
from upshot.services.anomalies import FlagSource
from upshot.services.stale_flags import in_force
from upshot.store import experiments
from upshot.store.alerts import Finding
from upshot.store.control import ControlStore

SCOPE = "unasked/"
DRAFTED = "drafted"
"""The tag of drafts."""
ACTOR = "upshot drafts"


class NewFlags:
    """The watch over flags that carry no question."""

    def __init__(self, store: ControlStore, flags: FlagSource, alerts: Alerts) -> None:
        """
        Args:
            store: of the experiments. flags: that are looked through. alerts: what people are told by.
        """
        self._store, self._flags, self._alerts = store, flags, alerts

    def look(self, now: datetime) -> None:
        """Draft an experiment for each flag that has none and never had one; tell as long as it only has a draft."""
        flags = in_force(self._flags)
        if flags is None:
            return
        asking = [flag for flag in flags.values() if is_unasked(flag)]
        drafts = self._drafts(asking)
        found = [_finding(flag, drafts[flag.key]) for flag in asking if flag.key in drafts]
        self._alerts.report(SCOPE, found)

    def _drafts(self, flags: list[Flag]) -> Mapping[str, str]:
        """Flag -> the id of its draft, where that is all that it has."""
        with self._store.reading() as connection:
            known = experiments.listed(connection)
        others = {
            one.design.flag for one in known if DRAFTED not in one.design.tags or one.state != "planned"
        }
        drafts = {one.design.flag: one.id for one in known if one.design.flag not in others}
        for flag in flags:
            if flag.key not in others and flag.key not in drafts:
                with self._store.changing(ACTOR, "a flag without a question and without an end") as change:
                    drafts[flag.key] = experiments.create(change, draft_of(flag)).id
        return drafts


def is_unasked(flag: Flag) -> bool:
    """Whether a flag gives units different values, with no experiment, no end and no limits that watch it."""
    carries = any(rule.experiment is not None for rule in flag.rules)
    is_watched = flag.expires is not None or flag.monitoring is not None
    return flag.enabled and len(flag.variants) > 1 and not is_watched and not carries


def draft_of(flag: Flag) -> Design:
    """A worked experiment under a flag's own names, to be mended by who knows what it is for."""
    worked = template("feature").design
    control = flag.default or next(iter(flag.variants))
    names = (control, *(name for name in flag.variants if name != control))
    plan = replace(
        worked.plan,
        name=f"What does {flag.key} do?",
        owner=flag.owner,
        control=control,
        split=dict.fromkeys(names, 1.0),
    )
    return replace(
        worked,
        plan=plan,
        flag=flag.key,
        background=flag.description or worked.background,
        variants={name: f"{flag.variants[name]!r}" for name in names},
        tags=(DRAFTED,),
    )


def _finding(flag: Flag, draft: str) -> Finding:
    owner = f"{flag.owner}: " if flag.owner else ""
    return Finding(
        key=f"{SCOPE}{flag.key}",
        subject=f"flag/{flag.key}",
        severity="info",
        what=f"flag {flag.key} asks no question and has no end",
        advice=f"{owner}mend and start its draft, {draft}, or give the flag a day on which it is gone (expires:)",
        evidence={"draft": draft},
    )
