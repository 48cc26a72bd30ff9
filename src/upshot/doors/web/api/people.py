"""Users and keys: who may come in, and as what."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from upshot.doors.web.api.answers import Change, Limit, Offset, Page, page, told
from upshot.doors.web.api.caller import Granter
from upshot.doors.web.api.parts import Given
from upshot.model.access import Role, UserRole
from upshot.store.keys import Key
from upshot.store.users import User

router = APIRouter(tags=["users and keys"])
Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class KnownUser(BaseModel):
    """A user."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    role: UserRole
    created_at: datetime
    disabled_at: datetime | None


class NewUser(Change):
    """A user to be made."""

    name: Name
    role: UserRole


class ChangedUser(Change):
    """What is to be another at a user; what is left out stays."""

    role: UserRole | None = None
    disabled: bool | None = None


class GivenPassword(KnownUser):
    """A user with a random password, which is shown only now."""

    password: str


class KnownKey(BaseModel):
    """A key without its secret."""

    id: str
    role: Role
    source: str
    created_at: datetime
    revoked_at: datetime | None


class NewKey(Change):
    """A key to be given out."""

    role: Role
    source: Name


class GivenKey(KnownKey):
    """A key with its secret, which is shown only now."""

    key: str = Field(description="Show it as Authorization: Bearer KEY.")


@router.get("/users", responses=told())
def list_users(_: Granter, parts: Given, limit: Limit = 100, offset: Offset = 0) -> Page[KnownUser]:
    """All users, disabled ones too, by name."""
    from upshot.services import users

    return page([KnownUser.model_validate(user) for user in users.listed(parts.store)], limit, offset)


@router.post("/users", status_code=201, responses=told(409))
def create_user(new: NewUser, caller: Granter, parts: Given) -> GivenPassword:
    """Make a user with a random password, which is shown only now."""
    from upshot.services import users

    made = users.create(parts.store, new.name, new.role, actor=caller.name, reason=new.reason)
    return _with_password(*made)


@router.patch("/users/{name}", responses=told(404))
def change_user(name: str, asked: ChangedUser, caller: Granter, parts: Given) -> KnownUser:
    """Give a user another role, disable them, or let them in again; one thing after the other."""
    from upshot.services import users

    known = users.find(parts.store, name)
    if asked.role is not None:
        known = users.set_role(parts.store, name, asked.role, actor=caller.name, reason=asked.reason)
    if asked.disabled is not None:
        switch = users.disable if asked.disabled else users.enable
        known = switch(parts.store, name, actor=caller.name, reason=asked.reason)
    return KnownUser.model_validate(known)


@router.post("/users/{name}/password", responses=told(404))
def reset_password(name: str, asked: Change, caller: Granter, parts: Given) -> GivenPassword:
    """Give a user another random password; their sessions end, and a lock is lifted."""
    from upshot.services import users

    return _with_password(*users.set_password(parts.store, name, actor=caller.name, reason=asked.reason))


@router.get("/keys", responses=told())
def list_keys(_: Granter, parts: Given, limit: Limit = 100, offset: Offset = 0) -> Page[KnownKey]:
    """All keys, revoked ones too, the oldest first; never their secrets."""
    from upshot.services import keys

    return page([_key(key) for key in keys.listed(parts.store)], limit, offset)


@router.post("/keys", status_code=201, responses=told())
def create_key(new: NewKey, caller: Granter, parts: Given) -> GivenKey:
    """Give out a key, whose secret is shown only now."""
    from upshot.services import keys

    key, secret = keys.create(parts.store, new.role, new.source, actor=caller.name, reason=new.reason)
    return GivenKey(**_key(key).model_dump(), key=secret)


@router.post("/keys/{key_id}/revoke", responses=told(404))
def revoke_key(key_id: str, asked: Change, caller: Granter, parts: Given) -> KnownKey:
    """Take a key back: it opens nothing from now on."""
    from upshot.services import keys

    return _key(keys.revoke(parts.store, key_id, actor=caller.name, reason=asked.reason))


def _key(key: Key) -> KnownKey:
    return KnownKey(
        id=key.id, role=key.kind, source=key.source, created_at=key.created_at, revoked_at=key.revoked_at
    )


def _with_password(user: User, password: str) -> GivenPassword:
    return GivenPassword(**KnownUser.model_validate(user).model_dump(), password=password)
