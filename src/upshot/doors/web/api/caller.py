"""Who asks the API, and whether they may: by a key, or by the session of a user.

A request with a session's cookie that would change something must come from one of our own pages: browsers say so in
``Sec-Fetch-Site``, and those too old for that in ``Origin``. What sends neither is no browser, and nobody can make it
send a cookie (the rule of Go's CrossOriginProtection, F. Valsorda 2025).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from upshot.doors.web.api.parts import Given, Parts
from upshot.doors.web.auth import given_key
from upshot.model.access import Permission, Role, may

COOKIE = "upshot_session"
_SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks.

    Attributes:
        name: as the audit chain has it. role: what they may. token: of the session; None: a key was shown.
    """

    name: str
    role: Role
    token: str | None = None


def caller_of(request: Request, parts: Given) -> Caller:
    """Who asks.

    Raises:
        HTTPException: 401 where nobody is known by what was shown, 403 where another site's page sent it.
    """
    key = given_key(request)
    if key is not None:
        return _by_key(parts, key)
    token = request.cookies.get(COOKIE)
    if token is None:
        raise _unknown("show a key (Authorization: Bearer KEY), or log in")
    check_site(request)
    from upshot.services import sessions

    user = sessions.holder(parts.store, token)
    if user is None:
        raise _unknown("this session has ended: log in again")
    return Caller(name=user.name, role=user.role, token=token)


def requires(permission: Permission) -> Callable[..., Caller]:
    """A dependency that gives who asks, where they may do this.

    Raises:
        HTTPException: 403 where they may not; else as `caller_of`.
    """

    def allowed(caller: Annotated[Caller, Depends(caller_of)]) -> Caller:
        if not may(caller.role, permission):
            raise HTTPException(
                403, f"the role {caller.role} may not do this: it needs permission to {permission}"
            )
        return caller

    return allowed


def check_site(request: Request) -> None:
    """Refuse what another site's page sends with our cookie.

    Raises:
        HTTPException: 403.
    """
    if request.method in _SAFE:
        return
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        is_ours = site in ("same-origin", "none")
    else:
        is_ours = origin is None or urlsplit(origin).netloc == request.headers.get("host")
    if not is_ours:
        raise HTTPException(
            403, f"a page of {origin or 'another site'} sent this: a session is for our own pages only"
        )


def _by_key(parts: Parts, key: str) -> Caller:
    from upshot.services import keys

    known = keys.holder(parts.store, key)
    if known is None:
        raise _unknown("this key is not known here")
    return Caller(name=f"{known.source} (key {known.id})", role=known.kind)


def _unknown(said: str) -> HTTPException:
    return HTTPException(401, said, {"WWW-Authenticate": "Bearer"})


Reader = Annotated[Caller, Depends(requires("read"))]
Looker = Annotated[Caller, Depends(requires("look"))]
Noter = Annotated[Caller, Depends(requires("note"))]
Acknowledger = Annotated[Caller, Depends(requires("acknowledge"))]
Proposer = Annotated[Caller, Depends(requires("propose"))]
Editor = Annotated[Caller, Depends(requires("edit"))]
Runner = Annotated[Caller, Depends(requires("run"))]
Decider = Annotated[Caller, Depends(requires("decide"))]
Unsealer = Annotated[Caller, Depends(requires("unseal"))]
Switcher = Annotated[Caller, Depends(requires("switch"))]
Auditor = Annotated[Caller, Depends(requires("audit"))]
Granter = Annotated[Caller, Depends(requires("grant"))]
