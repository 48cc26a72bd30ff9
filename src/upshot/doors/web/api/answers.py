"""The shapes that answers share: mistakes, pages of lists, versions."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Header, Query, Response
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from upshot.doors.web.etag import quoted

T = TypeVar("T")
Json = dict[str, Any]


class Problem(BaseModel):
    """Why it was not done. Each sentence names the field, its value and the mend."""

    model_config = ConfigDict(frozen=True)

    errorDetails: str  # noqa: N815  # as OFREP has it
    problems: list[str] = []


class Page(BaseModel, Generic[T]):
    """A part of a list; ``next`` is the offset of the part after it, null at the end."""

    items: list[T]
    total: int
    next: int | None


class Change(BaseModel):
    """Why something is done, for the audit chain."""

    model_config = ConfigDict(extra="forbid")

    reason: str = ""


Limit = Annotated[int, Query(ge=1, le=500, description="So many at most.")]
Offset = Annotated[int, Query(ge=0, le=2**31, description="So many are left out at the beginning.")]
IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", description="The ETag that was read before: refused if it is another now."),
]


def page(found: Sequence[T], limit: int, offset: int) -> Page[T]:
    """The part of a list that was asked for.

    >>> page("abc", 2, 0)
    Page(items=['a', 'b'], total=3, next=2)
    """
    end = offset + limit
    return Page(items=list(found[offset:end]), total=len(found), next=end if end < len(found) else None)


def expected(if_match: str | None, version: Callable[[], int | None]) -> int | None:
    """The version that a change is to be made upon; None: whatever is there.

    Raises:
        HTTPException: 412 where it is not the one that was read before.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    found = version()
    if found is None or if_match.strip() != quoted(str(found)):
        now = "has none" if found is None else f"is {found}"
        raise HTTPException(
            412, f"If-Match is {if_match}, and the version {now} now: look at it again and repeat your edit"
        )
    return found


def tag(response: Response, version: int | None) -> None:
    """Put a version into the answer's ETag; None: it has none."""
    if version is not None:
        response.headers["ETag"] = quoted(str(version))


def told(*codes: int) -> dict[int | str, dict[str, Any]]:
    """The documentation of what else may be answered."""
    return {code: {"model": Problem, "description": _SAID[code]} for code in (*_ALWAYS, *codes)}


_ALWAYS = (400, 401, 403, 408, 413, 415, 503)
_SAID = {
    400: "It cannot be used; every mistake is named",
    401: "Nobody is known by what was shown",
    403: "The role may not do this, or another site's page sent it",
    404: "There is no such thing",
    408: "The body did not come in time",
    409: "It does not go with how things stand, or somebody else changed it first",
    412: "It is not the version that was read before",
    413: "The body is too large",
    415: "The body is compressed in a way that is not taken",
    429: "Too many attempts failed",
    503: "It cannot be taken now: the same again later",
}
