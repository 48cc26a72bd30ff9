"""The cookie: what is kept, what is believed of what a browser sends, and what cannot get into a header."""

from http.cookies import SimpleCookie

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot_sdk.identity import YEAR, UnitCookie, is_id, new_id

COOKIE = UnitCookie()


def test_a_new_id_is_an_id_and_no_two_are_the_same():
    ids = {new_id() for _ in range(1_000)}
    assert len(ids) == 1_000
    assert all(is_id(one) for one in ids)


@given(st.from_regex(r"[A-Za-z0-9._~-]{8,64}", fullmatch=True))
def test_what_is_written_is_read_again(anonymous_id):
    kept = COOKIE.written(anonymous_id, https=True).partition(";")[0]
    assert COOKIE.read(f"a=1; {kept}; b=2") == anonymous_id


@given(st.text(max_size=80))
def test_only_ids_are_believed(text):
    found = COOKIE.read(f"upshot_id={text}")
    assert found is None or is_id(found)


@pytest.mark.parametrize(
    "value",
    ["", "short", "x" * 65, "has space", "with\nnewline", "with\x00zero", "<script>1", "идентификатор",
     "a=b=c=d=e", "12345678\n"],
)  # fmt: skip
def test_what_cannot_be_an_id(value):
    assert not is_id(value)
    assert COOKIE.read(f"upshot_id={value}; other=1") is None


def test_the_first_that_can_be_an_id_counts():
    assert COOKIE.read("upshot_id=bad; upshot_id=closest-one; upshot_id=farther-one") == "closest-one"
    assert COOKIE.read("xupshot_id=12345678;upshot_id2=12345678") is None


def test_the_header_as_browsers_and_python_read_it():
    plain = SimpleCookie(COOKIE.written("0123456789abcdef", https=False))["upshot_id"]
    assert (plain.value, plain["max-age"], plain["path"]) == ("0123456789abcdef", str(YEAR), "/")
    assert (plain["samesite"], plain["secure"], plain["httponly"]) == ("Lax", "", "")
    assert SimpleCookie(COOKIE.written("0123456789abcdef", https=True))["upshot_id"]["secure"] is True


def test_secure_and_domain_can_be_decided():
    cookie = UnitCookie(secure=True, domain="example.org", name="unit", path="/shop", max_age=60)
    header = cookie.written("0123456789abcdef", https=False)
    assert header == "unit=0123456789abcdef; Max-Age=60; Path=/shop; SameSite=Lax; Domain=example.org; Secure"
    assert "Secure" not in UnitCookie(secure=False).written("0123456789abcdef", https=True)


def test_removing_reaches_the_same_cookie():
    cookie = UnitCookie(domain="example.org", path="/shop")
    assert cookie.removed(https=True) == (
        "upshot_id=; Max-Age=0; Path=/shop; SameSite=Lax; Domain=example.org; Secure"
    )
    assert cookie.is_in("a=1; upshot_id=")
    assert not cookie.is_in("a=upshot_id; b=upshot_id=1")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "up shot"}, "cookie name 'up shot'"),
        ({"name": ""}, "cookie name ''"),
        ({"domain": "a.org; Secure"}, "cookie domain"),
        ({"path": "/\r\nX: 1"}, "cookie path"),
        ({"max_age": 0}, "cookie max_age 0"),
    ],
)
def test_what_would_break_the_header_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        UnitCookie(**wrong)
