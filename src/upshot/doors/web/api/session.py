"""Sessions: coming in by name and password, who one is, and going."""

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, StringConstraints
from starlette.exceptions import HTTPException

from upshot.doors.web.api.answers import told
from upshot.doors.web.api.caller import COOKIE, Reader, check_site
from upshot.doors.web.api.parts import Given
from upshot.model.access import Role

router = APIRouter(tags=["session"])
Password = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Login(BaseModel):
    """Who comes in."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    password: Password


class NewPassword(BaseModel):
    """Another password for oneself."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    old: Password
    new: Password


class WhoIAm(BaseModel):
    """Who asks, and what they may."""

    name: str
    role: Role


@router.post("/session", responses=told(429))
def log_in(given: Login, request: Request, response: Response, parts: Given) -> WhoIAm:
    """Come in by name and password. The answer sets a cookie that scripts cannot read."""
    from upshot.services import sessions

    check_site(request)
    address = request.client.host if request.client else ""
    old = request.cookies.get(COOKIE)
    user, token = sessions.begin(parts.store, given.name, given.password, address, old)
    _set(response, request, token)
    return WhoIAm(name=user.name, role=user.role)


@router.get("/session", responses=told())
def who_i_am(caller: Reader) -> WhoIAm:
    """Who asks, by key or session."""
    return WhoIAm(name=caller.name, role=caller.role)


@router.delete("/session", status_code=204, responses=told(409))
def log_out(caller: Reader, response: Response, parts: Given) -> None:
    """End the session; its cookie opens nothing any more."""
    from upshot.services import sessions

    if caller.token is None:
        raise HTTPException(409, "a key has no session to end")
    sessions.end(parts.store, caller.name, caller.token)
    response.delete_cookie(COOKIE, httponly=True, samesite="lax")


@router.post("/session/password", status_code=204, responses=told(409, 429))
def change_password(given: NewPassword, caller: Reader, request: Request, parts: Given) -> None:
    """Give oneself another password; all of one's sessions end, this one too."""
    from upshot.services import sessions, users

    if caller.token is None:
        raise HTTPException(409, "a key has no password: log in first")
    address = request.client.host if request.client else ""
    sessions.begin(parts.store, caller.name, given.old, address)
    users.set_password(parts.store, caller.name, given.new, actor=caller.name, reason="changed by the user")


def _set(response: Response, request: Request, token: str) -> None:
    from upshot.store.sessions import LONGEST

    response.set_cookie(
        COOKIE,
        token,
        max_age=int(LONGEST.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
