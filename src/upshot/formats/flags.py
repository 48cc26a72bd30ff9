"""Flags from and to YAML: files of flags, segments, layers and holdouts become one set, with every mistake named.

A file has the sections ``flags``, ``segments``, ``layers`` and ``holdouts``, each a mapping by name, all optional;
a set may be spread over files as people like. `docs/flags.md` shows the format.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from pydantic import TypeAdapter, ValidationError

from upshot.errors import PlanError
from upshot.formats.flag_fields import NAMED, Fields, completed, fields_of, is_short
from upshot.formats.flag_findings import ENTRIES, INSIDE, Finding, Place, Sources, refused, shown
from upshot.formats.flag_rules import checkable, flag_findings
from upshot.formats.yaml_text import read_yaml, read_yaml_files, write_yaml
from upshot.model.flag import Flag, FlagSet, Holdout, Layer, Rule, Segment

SECTIONS: dict[str, type] = {"flags": Flag, "segments": Segment, "layers": Layer, "holdouts": Holdout}
ADAPTERS: dict[str, TypeAdapter[Any]] = {section: TypeAdapter(cls) for section, cls in SECTIONS.items()}
_RULE = TypeAdapter(Rule)

_ANYBODY = {"attr": "targetingKey", "op": "exists"}
_STAND_INS: dict[str, Fields] = {"segments": {"when": _ANYBODY}, "layers": {}, "holdouts": {"percentage": 0}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What people wrote.

    Attributes:
        flags: the set. Where there are problems, what cannot be used is left out or stands in, so that all else can
            be looked at further; it is not what people meant.
        unreadable: what is wrong with files and sections as such, one sentence each.
        findings: what is wrong with what they hold.
        sources: where each thing is written.
    """

    flags: FlagSet
    unreadable: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    sources: Sources = field(default_factory=Sources)

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that is wrong, each with its file and path."""
        return (*self.unreadable, *self.sources.told(self.findings))


def read_flag_files(texts: Mapping[str, str]) -> Written:
    """The set of flags that some YAML (or JSON) files hold together.

    Args:
        texts: name of the file -> its text.
    """
    plain, problems = read_yaml_files(texts)
    read = read_flag_values(plain)
    return replace(read, unreadable=(*problems, *read.unreadable))


def flags_from_yaml(text: str, where: str = "flags") -> FlagSet:
    """The set of flags that one YAML (or JSON) text holds.

    Raises:
        PlanError: everything that is wrong in it, at once.
    """
    return flags_from_mapping(read_yaml(text, where), where)


def flags_from_mapping(plain: object, where: str = "flags") -> FlagSet:
    """The set of flags that plain values describe; raises as `flags_from_yaml`."""
    read = read_flag_values({"": plain})
    if read.problems:
        raise PlanError(read.problems, where)
    return read.flags


def read_flag_values(plain: Mapping[str, object]) -> Written:
    """The set of flags that the plain values of some files hold together, by the names of the files."""
    problems: list[str] = []
    raw: dict[str, dict[str, object]] = {section: {} for section in SECTIONS}
    files: dict[str, str] = {}
    for file, sections in plain.items():
        head = f"{file}: " if file else ""
        problems += [head + problem for problem in _sorted_in(file, sections, raw, files)]
    flags, findings = _flag_set(raw)
    short = frozenset(key for key, flag in raw["flags"].items() if is_short(flag))
    return Written(
        flags=flags,
        unreadable=tuple(problems),
        findings=tuple(findings),
        sources=Sources(files=files, short=short),
    )


def _sorted_in(
    file: str, sections: object, raw: dict[str, dict[str, object]], files: dict[str, str]
) -> Iterator[str]:
    """Put what a file holds into its sections; what cannot be put anywhere is told."""
    if not isinstance(sections, Mapping | None):
        yield f"{shown(sections)} is no file of flags: begin with flags: and the key of a flag"
        return
    for section, things in (sections or {}).items():
        if section not in SECTIONS:
            close = get_close_matches(str(section), SECTIONS, n=1)
            mend = f"did you mean {close[0]}?" if close else f"the sections are {', '.join(SECTIONS)}"
            yield f"there is no section {section}: {mend}"
        elif not isinstance(things, Mapping | None):
            yield f"{section}: {shown(things)} is not a mapping: give each its name and fields"
        else:
            yield from _named_in(file, section, things or {}, raw, files)


def _named_in(
    file: str,
    section: str,
    things: Mapping[object, object],
    raw: dict[str, dict[str, object]],
    files: dict[str, str],
) -> Iterator[str]:
    for name, thing in things.items():
        place = f"{section}.{name}"
        if not isinstance(name, str):
            yield f"{section}: the name {shown(name)} is not text: quote it"
        elif place in files:
            yield f"{place}: it is in {files[place]} too: keep one of them"
        else:
            raw[section][name] = thing
            files[place] = file


def _flag_set(raw: Mapping[str, Mapping[str, object]]) -> tuple[FlagSet, list[Finding]]:
    findings: list[Finding] = []
    things: dict[str, dict[str, Any]] = {}
    for section, entries in raw.items():
        read = {name: _thing(section, name, entry, findings) for name, entry in entries.items()}
        things[section] = {name: thing for name, thing in read.items() if thing is not None}
    unread = raw["flags"].keys() - things["flags"].keys()
    flags = FlagSet(**things | {"flags": {k: _without(flag, unread) for k, flag in things["flags"].items()}})
    found = list(flag_findings(flags))
    return checkable(flags, found), findings + [one for one in found if not one.follows(findings)]


def _without(flag: Flag, unread: frozenset[str] | set[str]) -> Flag:
    """A flag that does not need flags that could not be read: their mistakes are told already."""
    return replace(flag, prerequisites=tuple(one for one in flag.prerequisites if one.flag not in unread))


def _thing(section: str, name: str, raw: object, findings: list[Finding]) -> Any | None:
    """One thing of a section as the model has it, without its broken parts; None (or a stand-in) if nothing is left."""
    place = Place(section, name, findings)
    cls = SECTIONS[section]
    fields = fields_of(raw, cls, place)
    if fields is None:
        return _stand_in(section, name)
    if cls is Flag:
        fields = completed(fields, place)
    named = {NAMED[cls]: name}
    try:
        return ADAPTERS[section].validate_python(fields | named)
    except ValidationError as error:
        errors = error.errors(include_url=False)
    for one in errors:
        refused(one, fields, place)
    return _sound(section, fields, errors, named)


def _sound(section: str, fields: Fields, errors: list[Any], named: Fields) -> Any | None:
    """The thing without the fields that were refused; where it cannot do without one, a stand-in or None."""
    fields = deepcopy(fields)  # files may use one value in several places
    for error in errors:
        _leave_out(fields, error["loc"])
    if section == "flags":
        fields = completed(fields, Place(section, "", []))
        fields["rules"] = [rule for rule in fields.get("rules", ()) if _is_rule(rule)]
    try:
        return ADAPTERS[section].validate_python(fields | named)
    except ValidationError:
        return _stand_in(section, str(*named.values()))


def _leave_out(fields: Any, loc: tuple[str | int, ...]) -> None:
    """Take out of nested fields what a path leads to: the field that cannot be read, not its neighbours."""
    part, *rest = loc
    inner = fields.get(part) if isinstance(fields, dict) else fields[int(part)]
    if rest and part in ENTRIES and isinstance(inner, dict):
        inner.pop(rest[0], None)
    elif rest and isinstance(inner, dict | list):
        _leave_out(inner, tuple(rest))
    elif isinstance(fields, dict):
        fields.pop(part, None)
    else:
        fields[int(part)] = ""


def _is_rule(rule: object) -> bool:
    try:
        _RULE.validate_python(rule)
    except ValidationError:
        return False
    return True


def _stand_in(section: str, name: str) -> Any | None:
    if section == "flags":
        return None
    return ADAPTERS[section].validate_python(_STAND_INS[section] | {"name": name})


# From the model to files


def flags_to_mapping(flags: FlagSet) -> dict[str, Any]:
    """Plain values that read back to the same set; what is at its default is left out."""
    sections: dict[str, Any] = {}
    for section in SECTIONS:
        things: Mapping[str, Any] = getattr(flags, section)
        if things:
            sections[section] = {name: _plain(section, thing) for name, thing in things.items()}
    return sections


def flags_to_yaml(flags: FlagSet) -> str:
    """One file that holds the whole set."""
    return write_yaml(flags_to_mapping(flags))


def _plain(section: str, thing: Any) -> dict[str, Any]:
    plain: dict[str, Any] = ADAPTERS[section].dump_python(thing, mode="json", exclude_defaults=True)
    del plain[NAMED[type(thing)]]
    if not isinstance(thing, Flag):
        return plain
    plain = {
        name: value if name in ("variants", "metadata") else _whole(value) for name, value in plain.items()
    }
    for rule, written in zip(thing.rules, plain.get("rules", ()), strict=False):
        if rule.rollout and rule.rollout.schedule:
            written["rollout"]["percentage"] = _whole(rule.rollout.percentage)
    if "monitoring" in plain:
        outside = {inside: outside for outside, inside in INSIDE.items()}
        plain["monitoring"] = {outside[name]: value for name, value in plain["monitoring"].items()}
    return plain


def _whole(value: Any) -> Any:
    """Whole shares and weights without a point: 10 rather than 10.0. Values of variants stay as they are."""
    if isinstance(value, dict):
        return {name: entry if name == "when" else _whole(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_whole(entry) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
