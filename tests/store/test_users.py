import pytest

from upshot.errors import ConflictError, InputError, NotFoundError
from upshot.store import users
from upshot.store.audit import entries, verify
from upshot.store.users import User

HASH = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA"


@pytest.fixture
def change(store):
    def changed(what, *arguments):
        with store.changing("root", "for the test") as change:
            return what(change, *arguments)

    return changed


@pytest.fixture
def read(store):
    def seen(what, *arguments):
        with store.reading() as connection:
            return what(connection, *arguments)

    return seen


def test_a_user_is_kept_with_the_hash_of_their_password(change, read):
    made = change(users.create, " ann@example.org ", "editor", HASH)
    assert (made.name, made.role, made.disabled_at) == ("ann@example.org", "editor", None)
    assert read(users.find, "ann@example.org") == made
    assert read(users.with_hash, "ann@example.org") == (made, HASH)
    assert read(users.with_hash, "bob") is None
    assert isinstance(made, User)
    assert HASH not in repr(made)


def test_no_row_of_the_chain_has_a_hash(change, read):
    change(users.create, "ann", "admin", HASH)
    change(users.set_password, "ann", HASH + "2")
    change(users.keep_hash, "ann", HASH + "3")
    told = read(entries)
    assert [entry.action for entry in told] == ["user.created", "user.password"]
    assert "argon2" not in str(told)
    assert read(users.with_hash, "ann")[1] == HASH + "3"
    assert read(verify).broken is None


def test_a_name_is_given_once(change):
    change(users.create, "ann", "admin", HASH)
    with pytest.raises(ConflictError, match="there is a user ann"):
        change(users.create, "ann", "viewer", HASH)


@pytest.mark.parametrize("name", ["", "  ", "a b", "a\x00", "a\nb", "a" * 101, "\ud800"])
def test_what_cannot_be_a_name_is_refused(change, name):
    with pytest.raises(InputError, match="name"):
        change(users.create, name, "viewer", HASH)


@pytest.mark.parametrize("role", ["root", "", "agent", "server"])
def test_people_have_roles_of_people(change, role):
    with pytest.raises(InputError, match="use one of viewer, analyst, editor, admin"):
        change(users.create, "ann", role, HASH)


def test_a_disabled_user_comes_in_no_more_until_enabled(change, read):
    change(users.create, "root", "admin", HASH)
    change(users.create, "ann", "viewer", HASH)
    gone = change(users.disable, "ann")
    assert gone.disabled_at is not None
    assert change(users.disable, "ann") == gone
    assert read(users.with_hash, "ann") is None
    assert [user.name for user in read(users.listed)] == ["ann", "root"]
    assert change(users.enable, "ann").disabled_at is None
    assert read(users.with_hash, "ann")[1] == HASH
    assert [entry.action for entry in read(entries)][2:] == ["user.disabled", "user.enabled"]


def test_the_last_admin_stays(change, read):
    change(users.create, "root", "admin", HASH)
    change(users.create, "ann", "editor", HASH)
    for what in (lambda: change(users.disable, "root"), lambda: change(users.set_role, "root", "viewer")):
        with pytest.raises(InputError, match="root is the last admin"):
            what()
    assert read(users.find, "root").role == "admin"
    assert change(users.set_role, "ann", "admin").role == "admin"
    assert change(users.set_role, "root", "viewer").role == "viewer"


def test_who_is_not_there_is_told(change):
    for what in (users.disable, users.enable):
        with pytest.raises(NotFoundError, match="no user bob"):
            change(what, "bob")
    with pytest.raises(NotFoundError, match="no user bob"):
        change(users.set_password, "bob", HASH)
