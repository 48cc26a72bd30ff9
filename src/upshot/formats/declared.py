"""A directory of files that says all that a team declares: experiments, flags, metrics, standards, where alerts go.

A file with ``plan:`` is an experiment. Any other holds sections, as many as people like, over as many files as they
like. What each thing says is brought into the form that its own format writes, so that a comment, an order or a default
that is spelt out is no difference.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from upshot.errors import PlanError
from upshot.formats.event_metrics import SECTION as METRICS
from upshot.formats.event_metrics import WrittenMetrics, metric_to_mapping, read_metric_values
from upshot.formats.experiments import design_from_mapping, design_to_mapping
from upshot.formats.fact_tables import EXPOSURES, TABLES, table_to_mapping
from upshot.formats.flag_findings import shown
from upshot.formats.flags import SECTIONS as FLAG_SECTIONS
from upshot.formats.flags import flags_to_mapping, read_flag_values
from upshot.formats.standards import standards_from_mapping, standards_to_mapping
from upshot.formats.yaml_text import read_yaml_files
from upshot.model.experiment import Design
from upshot.model.flag import FlagSet

EXPERIMENTS, STANDARDS, ALERTS = "experiments", "standards", "alerts"
ORGANISATION = "organisation"
"""The name of what there is one of: standards, and the table of exposures."""
SECTIONS = (*FLAG_SECTIONS, METRICS, TABLES, EXPOSURES, STANDARDS, ALERTS)
"""What files that are no experiment may hold."""

Place = tuple[str, str]
"""A section and a name in it."""
Plain = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What files say.

    Attributes:
        things: section and name -> plain values, as the section's format writes them.
        designs: the experiments, by id. flags: all flags, segments, layers and holdouts.
    """

    things: Mapping[Place, Plain] = field(default_factory=dict)
    designs: Mapping[str, Design] = field(default_factory=dict)
    flags: FlagSet = field(default_factory=FlagSet)


def read_declared(texts: Mapping[str, str], where: str = "the files") -> Declared:
    """What some YAML (or JSON) files declare together.

    Args:
        texts: name of the file -> its text.

    Raises:
        PlanError: everything that is wrong in all of them, at once.
    """
    plain, unreadable = read_yaml_files(texts)
    problems = list(unreadable)
    parts: dict[str, dict[str, dict[str, Any]]] = {
        name: {} for name in ("flags", "metrics", STANDARDS, ALERTS)
    }
    designs: dict[str, Design] = {}
    for file, content in plain.items():
        if isinstance(content, Mapping) and "plan" in content:
            problems += _design(file, content, designs)
        elif _is_of_standards(file, content):
            parts[STANDARDS][file] = {STANDARDS: content}
        else:
            problems += _sorted(file, content, parts)
    flags, metrics = read_flag_values(parts["flags"]), read_metric_values(parts["metrics"])
    problems += [*flags.problems, *metrics.problems]
    things: dict[Place, Plain] = {
        (EXPERIMENTS, name): design_to_mapping(one) for name, one in designs.items()
    }
    things |= _flag_things(flags.flags) | _metric_things(metrics)
    for section, read in ((STANDARDS, _standards), (ALERTS, _alerts)):
        for file, content in parts[section].items():
            problems += read(file, content[section], things)
    if problems:
        raise PlanError(sorted(dict.fromkeys(problems)), where)
    return Declared(things=things, designs=designs, flags=flags.flags)


def _is_of_standards(file: str, content: object) -> bool:
    """``standards.yaml`` may hold them as they are, as a workspace has it."""
    named = file.rpartition("/")[2].partition(".")[0] == STANDARDS
    return named and isinstance(content, Mapping) and not set(content) & set(SECTIONS)


def _design(file: str, content: Mapping[Any, Any], designs: dict[str, Design]) -> Iterator[str]:
    try:
        design = design_from_mapping(content, file)
    except PlanError as error:
        yield from (f"{file}: {problem}" for problem in error.problems)
        return
    if not design.id:
        yield f"{file}: id is missing: give the next one, such as EXP-2026-004, so that it is found again"
    elif design.id in designs:
        yield f"{file}: {design.id} is in another file too: keep one of them"
    else:
        designs[design.id] = design


def _sorted(file: str, content: object, parts: dict[str, dict[str, dict[str, Any]]]) -> Iterator[str]:
    """Give each section to who reads it."""
    if content is None:
        return
    if not isinstance(content, Mapping):
        yield f"{file}: {shown(content)} is no file of sections: begin with flags:, metrics: or another of {_known()}"
        return
    for section, things in content.items():
        if section in FLAG_SECTIONS:
            parts["flags"].setdefault(file, {})[section] = things
        elif section in (METRICS, TABLES, EXPOSURES):
            parts["metrics"].setdefault(file, {})[section] = things
        elif section in (STANDARDS, ALERTS):
            parts[section].setdefault(file, {})[section] = things
        else:
            close = get_close_matches(str(section), [*SECTIONS, "plan"], n=1)
            mend = f"did you mean {close[0]}?" if close else f"the sections are {_known()}"
            yield f"{file}: there is no section {section}: {mend}"


def _known() -> str:
    return ", ".join(SECTIONS)


def _flag_things(flags: FlagSet) -> dict[Place, Plain]:
    return {
        (section, name): thing
        for section, named in flags_to_mapping(flags).items()
        for name, thing in named.items()
    }


def _metric_things(written: WrittenMetrics) -> dict[Place, Plain]:
    found: dict[Place, Plain] = {
        (METRICS, name): metric_to_mapping(metric) for name, metric in written.metrics.items()
    }
    found |= {(TABLES, name): table_to_mapping(table) for name, table in written.tables.items()}
    if written.exposures is not None:
        found[EXPOSURES, ORGANISATION] = table_to_mapping(written.exposures)
    return found


def _standards(file: str, content: object, things: dict[Place, Plain]) -> Iterator[str]:
    if (STANDARDS, ORGANISATION) in things:
        yield f"{file}: standards are in another file too: keep one of them"
        return
    try:
        things[STANDARDS, ORGANISATION] = standards_to_mapping(standards_from_mapping(content or {}, file))
    except PlanError as error:
        yield from (f"{file}: standards: {problem}" for problem in error.problems)


def _alerts(file: str, content: object, things: dict[Place, Plain]) -> Iterator[str]:
    """Where alerts go, each by a name: an address, or the environment variable that has it."""
    if not isinstance(content, Mapping):
        yield f"{file}: alerts: {shown(content)} is not a mapping: write a name and to: $SLACK_URL below it"
        return
    for name, entry in content.items():
        to = entry.get("to") if isinstance(entry, Mapping) else None
        if not isinstance(to, str) or not to.strip() or set(entry) != {"to"}:
            yield f"{file}: alerts.{name}: {shown(entry)} is not one address: write to: $SLACK_URL, or mailto:..."
        elif (ALERTS, str(name)) in things:
            yield f"{file}: alerts.{name} is in another file too: keep one of them"
        else:
            things[ALERTS, str(name)] = {"to": to.strip()}
