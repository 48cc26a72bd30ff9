"""What is wrong in files of flags: where, what was written, and what belongs there instead."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from reprlib import Repr
from typing import Any

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 60

PERCENTAGE = "a percentage from 0 to 100"
INSTANT = "a time with its offset, such as 2026-12-01T09:00:00Z"
WEIGHTS = "a weight of 0 or more for each variant, such as {control: 1, treatment: 1}"
CONDITION = "a condition, such as {attr: country, op: in, value: [CA, US]}"

EXPECTED = {
    "at": INSTANT,
    "attributes": "a list of attributes",
    "auto_kill": "true or false",
    "enabled": "true or false",
    "error_threshold": "a share from 0 to 1",
    "expires": "a day, such as 2026-12-31",
    "experiment": "an experiment, such as {id: EXP-2026-001, split: {control: 1, treatment: 1}}",
    "latency_threshold": "a number of milliseconds above 0",
    "layer_share": PERCENTAGE,
    "metadata": "names with plain values, such as {ticket: WEB-7}",
    "monitoring": "limits, such as {errorThreshold: 0.01, latencyThreshold: 200, autoKill: true}",
    "overrides": "unit ids with their variants, such as {user-1: treatment}",
    "percentage": PERCENTAGE,
    "phase": "a whole number from 1",
    "prerequisites.variants": "a list of variants, such as [on]",
    "prerequisites": "a list such as [{flag: payments, variants: [on]}]",
    "rollout": "a rollout, such as {variant: treatment, percentage: 10}",
    "rules": "a list of rules",
    "schedule": "a list of steps, such as [{at: 2026-12-01T09:00:00Z, percentage: 50}]",
    "segments": "a list of segments, such as [early-adopters]",
    "split": WEIGHTS,
    "starts": INSTANT,
    "traffic": PERCENTAGE,
    "type": "one of boolean, string, number, object",
    "until": INSTANT,
    "variants": "names with their values, such as {control: one-page, treatment: three-steps}",
    "when": CONDITION,
}
"""Field -> what belongs there, for messages; fields that are not here are texts."""

ENTRIES = {
    "metadata": "text, a number, true or false",
    "overrides": "the name of a variant",
    "split": "a weight of 0 or more",
    "variants": "a value: text, a number, true or false, an object or a list",
    "when": CONDITION,
}
"""The same for what stands under a name that people give."""


_OUTSIDE = {
    "error_threshold": "errorThreshold",
    "latency_threshold": "latencyThreshold",
    "auto_kill": "autoKill",
}
"""Fields that files spell in another way."""

INSIDE = {outside: inside for inside, outside in _OUTSIDE.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One mistake.

    Attributes:
        section, name: the thing that has it: ``flags`` and ``checkout``.
        below: the path from there, such as ``.rules[ramp].rollout.percentage``.
        message: what is wrong, and the mend.
    """

    section: str
    name: str
    below: str = ""
    message: str

    def __str__(self) -> str:
        """The path in the file and the message.

        >>> str(Finding(section="flags", name="a", below=".enabled", message="'maybe' is not true or false"))
        "flags.a.enabled: 'maybe' is not true or false"
        """
        return f"{self.section}.{self.name}{self.below}: {self.message}"

    def follows(self, others: "Iterable[Finding]") -> bool:
        """Whether one of the others is about the same field, what is in it or what it is in."""
        related = (one.below for one in others if (one.section, one.name) == (self.section, self.name))
        return any(
            below and self.below and (below.startswith(self.below) or self.below.startswith(below))
            for below in related
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where reading is, and the list that its findings go to."""

    section: str
    name: str
    findings: list[Finding]
    below: str = ""

    def at(self, part: str | int) -> "Place":
        """One step further: a field by its name, an entry by its number or (in brackets) its id."""
        step = f"[{part}]" if isinstance(part, int) else f".{_OUTSIDE.get(part, part)}"
        return Place(self.section, self.name, self.findings, self.below + step)

    def entry(self, number: int, raw: object) -> "Place":
        """An entry of a list, called by its id where it has one."""
        name = raw.get("id") if isinstance(raw, Mapping) else None
        step = f"[{name}]" if isinstance(name, str) and name else f"[{number}]"
        return Place(self.section, self.name, self.findings, self.below + step)

    def report(self, message: str) -> None:
        self.findings.append(Finding(section=self.section, name=self.name, below=self.below, message=message))


def shown(value: object) -> str:
    """A value as the file has it, cut where it is long.

    >>> shown(True), shown(None), shown("ten")
    ('true', 'null', "'ten'")
    """
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else _SHORT.repr(value)


def refused(error: Mapping[str, Any], fields: Mapping[str, Any], place: Place) -> None:
    """Report one finding of pydantic (an entry of `ValidationError.errors()`) about these fields.

    What is missing because it was refused before is not told twice.
    """
    place, what = _expected(error["loc"], fields, place)
    if error["type"] != "missing":
        unquoted = error["loc"][-1] == "[key]"
        value = shown(error["input"])
        place.report(f"the name {value} is not text: quote it" if unquoted else f"{value} is not {what}")
    elif not any(one.name == place.name and place.below.endswith(one.below or "-") for one in place.findings):
        place.report(f"this is missing: give {what}")


def _expected(loc: tuple[str | int, ...], fields: Any, place: Place) -> tuple[Place, str]:
    """Where a path through some fields leads, and what belongs there."""
    here, field = fields, ""
    for part in loc:
        if field in ENTRIES and isinstance(here, Mapping):
            return place.at(str(part)), ENTRIES[field]
        if isinstance(part, int):
            here = here[part]
            place = place.entry(part, here)
        else:
            here, field = here.get(part), part
            place = place.at(part)
    if isinstance(loc[-1], int):
        return place, "a text"
    return place, EXPECTED.get(f"{loc[0]}.{field}") or EXPECTED.get(field, "a text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where flags are written.

    Attributes:
        files: each thing -> its file: ``flags.checkout`` -> ``checkout.yaml``.
        short: keys of flags in their short form, whose one rule has no place of its own.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    short: frozenset[str] = frozenset()

    def told(self, findings: Iterable[Finding]) -> tuple[str, ...]:
        """Findings as sentences, each once, with the file and the path at which people wrote it."""
        return tuple(dict.fromkeys(self._sentence(finding) for finding in findings))

    def _sentence(self, finding: Finding) -> str:
        if finding.section == "flags" and finding.name in self.short:
            below = finding.below.removeprefix(".rules[rollout]").removeprefix(".rollout")
            finding = replace(finding, below=below)
        file = self.files.get(f"{finding.section}.{finding.name}", "")
        return f"{file}: {finding}" if file else str(finding)
