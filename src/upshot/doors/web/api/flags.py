"""Flags and what they are made of (segments, layers, holdouts): read, written, killed, asked."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from upshot.doors.web.api.answers import Change, IfMatch, Json, Limit, Offset, Page, expected, page, tag, told
from upshot.doors.web.api.caller import Editor, Reader, Switcher
from upshot.doors.web.api.parts import Given, Parts
from upshot.errors import InputError
from upshot.services.flag_writing import Section

if TYPE_CHECKING:
    from upshot.services.flag_answer import Answer

router = APIRouter(tags=["flags"])
_FIRST_YEAR, _LAST_YEAR = 1970, 9000
Key = Annotated[str, Path(min_length=1, description="It may hold slashes.")]


class Written(BaseModel):
    """A flag, a segment, a layer or a holdout as it is written."""

    name: str
    version: int | None = Field(description="Null where flags are files.")
    fields: Json = Field(description="As below its name in a file (docs/flags.md).")


class WrittenFlag(Written):
    """A flag as it is written, and whether it was turned off whatever is."""

    killed: str | None = Field(description="Why; null: it is not.")


class Writing(Change):
    """What is to be written."""

    fields: Json = Field(description="As below its name in a file (docs/flags.md).")


class Switch(Change):
    """Why a flag is turned off or given back."""

    reason: Annotated[str, StringConstraints(min_length=1)]


class Switched(BaseModel):
    """What a switch did; ``changed`` is false where it was so already."""

    flag: str
    changed: bool


class Question(BaseModel):
    """Who asks a flag, and when."""

    model_config = ConfigDict(extra="forbid")

    context: Json = Field(description="As evaluations have it, with targetingKey.")
    at: datetime | None = Field(None, description="With its offset from UTC; now where it is left out.")


class Answered(BaseModel):
    """What a flag answers, and why."""

    value: Any
    variant: str | None
    reason: str
    error_code: str | None
    error_message: str | None
    metadata: Json
    because: str | None = Field(description="The rule that decided, in words; or why the flag is off.")
    passed: Mapping[str, str] = Field(description="Rule -> why it did not decide, of those before.")
    drawn: bool = Field(description="Whether the draws behind it were given out.")


@router.get("/flags", responses=told())
def list_flags(_: Reader, parts: Given, limit: Limit = 100, offset: Offset = 0) -> Page[WrittenFlag]:
    """All flags, by key."""
    return page(_flags(parts), limit, offset)


@router.post("/flags/{key:path}/evaluate", responses=told(404))
def evaluate(key: Key, asked: Question, _: Reader, parts: Given) -> Answered:
    """What the flag answers to a context, and why: the rule that decided, and why those before it did not."""
    from upshot.services.flag_answer import answer

    workspace = parts.workspace()
    now = _moment(asked.at) or workspace.clock()
    return _answered(answer(workspace.flags, key, asked.context, workspace.new_salt, now))


@router.post("/flags/{key:path}/kill", responses=told(404))
def kill(key: Key, asked: Switch, caller: Switcher, parts: Given) -> Switched:
    """Turn the flag off for everybody, whatever is written; evaluators hear it within seconds."""
    return _switched(parts, key, "kill", caller.name, asked.reason)


@router.post("/flags/{key:path}/revive", responses=told(404))
def revive(key: Key, asked: Switch, caller: Switcher, parts: Given) -> Switched:
    """Give a killed flag back to what is written."""
    return _switched(parts, key, "revive", caller.name, asked.reason)


@router.get("/flags/{key:path}", responses=told(404))
def find_flag(key: Key, _: Reader, response: Response, parts: Given) -> WrittenFlag:
    """One flag. Its ETag is the version that a change may be bound to."""
    from upshot.services.flag_writing import find

    workspace = parts.workspace()
    fields, version = find(workspace, "flags", key)
    tag(response, version)
    return WrittenFlag(name=key, version=version, fields=dict(fields), killed=_killed(parts).get(key))


def _written_routes(section: Section, what: str) -> None:
    """Routes of things that are written: one for each verb."""
    many = section
    place = f"/{many}/{{name:path}}"

    def list_them(_: Reader, parts: Given, limit: Limit = 100, offset: Offset = 0) -> Page[Written]:
        return page(_written(parts, section), limit, offset)

    def find_it(name: Key, _: Reader, response: Response, parts: Given) -> Written:
        from upshot.services.flag_writing import find

        fields, version = find(parts.workspace(), section, name)
        tag(response, version)
        return Written(name=name, version=version, fields=dict(fields))

    def put_it(
        name: Key, asked: Writing, caller: Editor, response: Response, parts: Given, if_match: IfMatch = None
    ) -> Written:
        from upshot.services.flag_writing import find, write

        workspace = parts.workspace()
        version = expected(if_match, lambda: find(workspace, section, name)[1])
        write(workspace, section, name, asked.fields, caller.name, asked.reason, version)
        return find_it(name, caller, response, parts)

    def delete_it(
        name: Key, caller: Editor, parts: Given, reason: str = "", if_match: IfMatch = None
    ) -> None:
        from upshot.services.flag_writing import find, remove

        workspace = parts.workspace()
        version = expected(if_match, lambda: find(workspace, section, name)[1])
        remove(workspace, section, name, caller.name, reason, version)

    if section != "flags":  # a flag tells more of itself
        router.get(f"/{many}", name=f"list_{many}", responses=told())(list_them)
        router.get(place, name=f"find_{what}", responses=told(404))(find_it)
    router.put(place, name=f"put_{what}", responses=told(404, 409, 412))(put_it)
    router.delete(place, name=f"delete_{what}", status_code=204, responses=told(404, 409, 412))(delete_it)


for _section, _what in (
    ("flags", "flag"),
    ("segments", "segment"),
    ("layers", "layer"),
    ("holdouts", "holdout"),
):
    _written_routes(_section, _what)  # type: ignore[arg-type]


def _written(parts: Parts, section: Section) -> list[Written]:
    from upshot.services.flag_writing import written

    found = written(parts.workspace(), section)
    return [
        Written(name=name, version=version, fields=dict(fields))
        for name, (fields, version) in sorted(found.items())
    ]


def _flags(parts: Parts) -> list[WrittenFlag]:
    killed = _killed(parts)
    return [WrittenFlag(**one.model_dump(), killed=killed.get(one.name)) for one in _written(parts, "flags")]


def _killed(parts: Parts) -> dict[str, str]:
    from upshot.services.flag_switch import killed_words

    return {key: killed_words(entry) for key, entry in parts.workspace().flags.read().kills.off.items()}


def _switched(parts: Parts, key: str, action: Literal["kill", "revive"], actor: str, reason: str) -> Switched:
    from upshot.services.flag_switch import Switchable, switch
    from upshot.store.kill_file import Switching

    workspace = parts.workspace()
    assert isinstance(workspace.flags, Switchable)
    entry = Switching(flag=key, action=action, at=workspace.clock(), actor=actor, reason=reason)
    return Switched(flag=key, changed=switch(workspace.flags, entry))


def _moment(at: datetime | None) -> datetime | None:
    if at is not None and at.tzinfo is None:
        raise InputError(f"at is {at.isoformat()}: give its offset from UTC, such as {at.isoformat()}Z")
    if at is not None and not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        raise InputError(f"at is {at.isoformat()}: give a time from {_FIRST_YEAR} to {_LAST_YEAR}")
    return at


def _answered(found: "Answer") -> Answered:
    evaluation = found.evaluation
    return Answered(
        value=evaluation.value,
        variant=evaluation.variant,
        reason=evaluation.reason,
        error_code=evaluation.error_code,
        error_message=evaluation.error_message,
        metadata={
            name: dict(value) if isinstance(value, Mapping) else value
            for name, value in evaluation.metadata.items()
        },
        because=found.because,
        passed=found.passed,
        drawn=found.drawn,
    )
