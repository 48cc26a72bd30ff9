"""Mistakes and faults as answers of one shape: a sentence, and each mistake on its own."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from upshot.errors import PlanError, UpshotError

_MENDS = {
    "missing": "give it",
    "extra_forbidden": "it is not known here, leave it out",
}
_SECRETS = ("password", "old", "new")  # never shown, not even to who sent them
_LONGEST = 80


def answer_problems(api: FastAPI) -> None:
    """Have an application answer every mistake in the one shape."""
    api.add_exception_handler(UpshotError, _told)
    api.add_exception_handler(HTTPException, _refused)
    api.add_exception_handler(RequestValidationError, _unreadable)


def refusal(
    status: int, said: str, problems: Sequence[str] = (), headers: Mapping[str, str] | None = None
) -> Response:
    """An answer that says what is wrong."""
    return JSONResponse({"errorDetails": said, "problems": list(problems) or [said]}, status, headers)


async def _told(_: Request, error: Exception) -> Response:
    if not isinstance(error, UpshotError) or error.status == 500:
        raise error
    retry = getattr(error, "retry_after", None)
    problems = error.problems if isinstance(error, PlanError) else ()
    return refusal(error.status, str(error), problems, {"Retry-After": str(retry)} if retry else None)


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    said = error.detail
    if error.status_code == 404 and said == "Not Found":
        said = f"there is no {request.url.path} here"
    if error.status_code == 405:
        said = f"{request.url.path} does not take {request.method}"
    return refusal(error.status_code, said, headers=error.headers)


async def _unreadable(_: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    problems = list(dict.fromkeys(_sentence(one) for one in error.errors()))
    return refusal(400, "; ".join(problems), problems)


def _sentence(found: Mapping[str, Any]) -> str:
    """One sentence for one finding: the field, what it is, and the mend."""
    place = [str(part) for part in found["loc"] if part not in ("body", "query", "path", "header")]
    field = ".".join(place) or "the body"
    if found["type"] in ("missing", "json_invalid"):
        return f"{field} is missing: give it"
    if not place or place[-1] in _SECRETS:
        return f"{field} cannot be used: {found['msg']}"
    mend = _MENDS.get(found["type"], str(found["msg"]).removeprefix("Input ").replace("should be", "give"))
    return f"{field} is {_shown(found.get('input'))}: {mend}"


def _shown(value: object) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
