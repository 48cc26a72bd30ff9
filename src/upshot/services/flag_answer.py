"""What a flag answers to one context, and why: the rule that decided, and why those before it did not.

The evaluator is asked for all of it: for the flag as it is, and for each rule alone with one thing after another
left out.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from upshot.assignment.payload import NewSalt
from upshot.errors import NotFoundError
from upshot.model.flag import Flag
from upshot.report.flag_words import moment, rule_words
from upshot.services.flag_switch import killed_words
from upshot.services.flags import checked
from upshot.store.flag_store import FlagStore
from upshot_sdk import Evaluation, Ruleset

Context = Mapping[str, Any]
Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer with its reasons.

    Attributes:
        evaluation: what the flag answers.
        because: the rule that decided, in words, or why the flag is off whatever is written; None: neither.
        passed: rule -> why it did not decide, for those before; an unmet prerequisite stands alone.
        drawn: whether the draws behind it were given out; otherwise applying may draw another variant.
    """

    evaluation: Evaluation
    because: str | None
    passed: Mapping[str, str]
    drawn: bool


def answer(store: FlagStore, key: str, context: Context, new_salt: NewSalt, now: datetime) -> Answer:
    """Ask a flag as it is written, applied or not; nothing is written.

    Raises:
        NotFoundError: there is no such flag.
        PlanError: mistakes in the files, all of them.
        InputError: the store cannot be read.
    """
    stored = store.read()
    published, _ = checked(stored, new_salt, store.name)
    flag = stored.flags.flags.get(key)
    if flag is None:
        near = get_close_matches(key, stored.flags.flags, n=1)
        mend = f"did you mean {near[0]}?" if near else f"there are {', '.join(stored.flags.flags) or 'none'}"
        raise NotFoundError(f"there is no flag {key} in {store.name}: {mend}")
    asked = _Asked(payload=json.loads(published.body), key=key, context=context, now=now)
    found = published.ruleset.evaluate(key, context, now=now)
    decided = found.metadata.get("rule")
    salt = next((asked.salt(rule) for rule in asked.rules if rule["id"] == decided), None)
    killed = stored.kills.off.get(key)
    return Answer(
        evaluation=found,
        because=killed_words(killed) if killed else _because(flag, str(decided)) if decided else None,
        passed=dict(_passed(asked, decided)) if flag.enabled and not killed else {},
        drawn=salt is None or salt in stored.ledger.salts.values(),
    )


def _because(flag: Flag, decided: str) -> str:
    """A rule of the payload in words: the steps of a schedule and the overrides are rules there, too."""
    words = {rule.id: rule_words(rule) for rule in flag.rules}
    return words.get(decided) or words.get(decided.rpartition(".")[0]) or "the unit is given it by hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A question, and the payload to put it to in parts."""

    payload: Json
    key: str
    context: Context
    now: datetime

    @property
    def rules(self) -> list[Json]:
        rules: list[Json] = self.payload["flags"][self.key]["rules"]
        return rules

    def alone(self, rule: Json) -> Evaluation:
        """What the flag would answer if it had this one rule and needed nothing else."""
        flag = self.payload["flags"][self.key]
        only = {"type": flag["type"], "variants": flag["variants"], "rules": [rule]}
        ruleset = Ruleset.from_dict(self.payload | {"flags": {self.key: only}})
        return ruleset.evaluate(self.key, self.context, now=self.now)

    def given(self, rule: Json, *fields: str) -> bool:
        """Whether the rule would apply if it had only these of its conditions and left nobody out by a draw."""
        variant = next(iter(self.payload["flags"][self.key]["variants"]))
        kept = {name: rule[name] for name in fields if name in rule}
        return self.alone({"id": rule["id"], "variant": variant, **kept}).variant is not None

    def salt(self, rule: Json) -> str | None:
        drawn = rule.get("rollout") or rule.get("experiment")
        return str(drawn["salt"]) if drawn else None


def _passed(asked: _Asked, decided: object) -> Iterator[tuple[str, str]]:
    """Each rule before the one that decided, with why it did not; an unmet prerequisite instead of all."""
    whole = Ruleset.from_dict(asked.payload)
    for needed in asked.payload["flags"][asked.key].get("prerequisites", ()):
        given = whole.evaluate(needed["flag"], asked.context, now=asked.now).variant
        if given not in needed["variants"]:
            wanted = " or ".join(needed["variants"])
            yield needed["flag"], f"it gives {given or 'no variant'}, and {asked.key} needs {wanted} of it"
            return
    for rule in asked.rules:
        if rule["id"] == decided:
            return
        yield rule["id"], _reason(asked, rule)


def _reason(asked: _Asked, rule: Json) -> str:
    if not asked.given(rule, "from", "until"):
        return f"it is not in force at {moment(asked.now)}"
    if not asked.given(rule, "when"):
        return "its condition is not met"
    alone = asked.alone(rule)
    return alone.error_message or "its draw leaves this unit out"
