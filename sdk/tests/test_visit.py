"""The identity rule, without a server: who is the unit, when nothing is kept or sent, and that pages never break."""

import asyncio
import logging

import pytest

from upshot_sdk import Ruleset
from upshot_sdk.identity import is_id
from upshot_sdk.visit import REMEMBERED, Flags, Visitors

HALF = 1 << 31
PAYLOAD = {
    "format": 1, "revision": "r1", "hash": "md5/1",
    "flags": {
        "checkout": {"type": "string", "variants": {"control": "old", "treatment": "new"}, "rules": [
            {"id": "staff", "when": {"attr": "plan", "op": "eq", "value": "staff"}, "variant": "treatment"},
            {"id": "exp", "experiment": {"id": "EXP-2026-001", "phase": 1, "salt": "s", "unit": "targetingKey",
             "traffic": [[0, 2 * HALF]], "split": {"control": [[0, HALF]], "treatment": [[HALF, 2 * HALF]]}}}]},
        "colour": {"type": "string", "variants": {"blue": "#00f", "red": "#f00"}, "default_variant": "blue"},
    },
}  # fmt: skip
RULESET = Ruleset.from_dict(PAYLOAD)
ID = "0123456789abcdef0123456789abcdef"
COOKIES = f"theme=dark; upshot_id={ID}"


class Recorder:
    """Evaluates a real ruleset, and writes down what would be sent."""

    def __init__(self):
        self.sent = []

    def evaluate(self, flag_key, context=None, default=None):
        answer = self.peek(flag_key, context, default)
        self.sent += (
            [("exposure", dict(context), answer.variant)] if "experiment_id" in answer.metadata else []
        )
        return answer

    def peek(self, flag_key, context=None, default=None):
        return RULESET.evaluate(flag_key, context, default)

    def track(self, event, context, properties=None):
        self.sent.append((event, dict(context), properties))

    def identify(self, context, traits=None):
        self.sent.append(("identify", dict(context), traits))


def flags_for(client, cookies="", request=None, https=False, **hooks):
    return Flags(Visitors(client, **hooks), request, cookies, https)


def test_nothing_happens_before_a_flag_is_asked():
    def never(_):
        raise AssertionError("asked without need")

    flags = flags_for(Recorder(), "", user=never, attributes=never, consent=never)
    assert flags.headers(()) == []


def test_a_new_visitor_gets_an_id_and_keeps_the_variant_with_it():
    client = Recorder()
    first = flags_for(client)
    variant = first.variant("checkout")
    headers = dict(first.headers(()))
    assert headers["Vary"] == "Cookie"
    assert headers["Cache-Control"] == "private"
    cookie = headers["Set-Cookie"].partition(";")[0]
    assert is_id(cookie.removeprefix("upshot_id="))
    again = flags_for(client, cookie)
    assert again.variant("checkout") == variant
    assert "Set-Cookie" not in dict(again.headers(()))
    assert again.context["targetingKey"] == again.context["anonymousId"] == cookie.removeprefix("upshot_id=")


def test_logging_in_moves_nobody_and_is_told_once():
    client = Recorder()
    visitors = Visitors(client, user=lambda request: request)
    for number in range(200):
        cookies = f"upshot_id=visitor-{number}"
        before = Flags(visitors, None, cookies, False).variant("checkout")
        after = Flags(visitors, f"user-{number}", cookies, False)
        assert after.variant("checkout") == before
        assert after.context["targetingKey"] == f"visitor-{number}"
        Flags(visitors, f"user-{number}", cookies, False).track("Purchase", {"value": 3})
    told = [sent for sent in client.sent if sent[0] == "identify"]
    assert [context["userId"] for _, context, _ in told] == [f"user-{number}" for number in range(200)]
    bought = [context for event, context, _ in client.sent if event == "Purchase"]
    assert bought[7] == {"targetingKey": "visitor-7", "anonymousId": "visitor-7", "userId": "user-7"}


def test_two_users_of_one_device_are_both_told():
    client = Recorder()
    visitors = Visitors(client, user=lambda request: request)
    for user in ("ann", "bob", "ann"):
        Flags(visitors, user, COOKIES, False).variant("checkout")
    assert [sent[1]["userId"] for sent in client.sent if sent[0] == "identify"] == ["ann", "bob"]


def test_the_memory_of_whom_was_told_of_is_bounded():
    visitors = Visitors(Recorder(), user=lambda request: request)
    for number in range(REMEMBERED + 50):
        visitors.introduce(ID, f"user-{number}")
    assert visitors.introduce.cache_info().currsize == REMEMBERED


@pytest.mark.parametrize("user", ["ann", None])
def test_without_consent_nothing_is_kept_or_sent_and_flags_still_answer(user):
    client = Recorder()
    flags = flags_for(client, consent=lambda _: False, user=lambda _: user)
    assert flags.value("colour") == "#00f"
    answer = flags.evaluate("checkout", "old")
    assert (answer.value, answer.variant, answer.error_code) == ("old", None, "TARGETING_KEY_MISSING")
    flags.track("Purchase")
    assert client.sent == []
    assert "Set-Cookie" not in dict(flags.headers(()))


def test_consent_that_was_withdrawn_removes_the_cookie():
    flags = flags_for(Recorder(), COOKIES, consent=lambda _: False)
    flags.variant("checkout")
    assert dict(flags.headers(()))["Set-Cookie"].startswith("upshot_id=; Max-Age=0;")


def test_rules_on_attributes_hold_without_consent():
    flags = flags_for(Recorder(), consent=lambda _: False, attributes=lambda _: {"plan": "staff"})
    assert flags.variant("checkout") == "treatment"


def test_asked_when_the_headers_have_gone_a_new_visitor_has_no_unit():
    client = Recorder()
    late = flags_for(client)
    late.headers(())
    assert late.evaluate("checkout").error_code == "TARGETING_KEY_MISSING"
    known = flags_for(client, COOKIES)
    known.headers(())
    assert known.variant("checkout") in ("control", "treatment")
    assert [sent[1]["targetingKey"] for sent in client.sent] == [ID]


def test_peek_shows_nobody_anything():
    client = Recorder()
    flags = flags_for(client, COOKIES)
    assert flags.peek("checkout").variant == flags.variant("checkout")
    assert len(client.sent) == 1


def test_attributes_target_and_never_replace_the_ids():
    claimed = {"plan": "staff", "targetingKey": "x", "anonymousId": "y", "userId": "z"}
    flags = flags_for(Recorder(), COOKIES, attributes=lambda _: claimed)
    assert flags.context == {"plan": "staff", "targetingKey": ID, "anonymousId": ID}
    assert flags.evaluate("checkout").reason == "TARGETING_MATCH"


@pytest.mark.parametrize("user", [0, 17, "17"])
def test_user_ids_are_text(user):
    assert flags_for(Recorder(), COOKIES, user=lambda _: user).context["userId"] == str(user)


@pytest.mark.parametrize("hook", ["user", "attributes", "consent"])
def test_a_hook_that_fails_breaks_no_page_and_recognises_nobody(hook, caplog):
    def fail(_):
        raise KeyError("session")

    client = Recorder()
    flags = flags_for(client, COOKIES, **{hook: fail})
    assert flags.value("colour") == "#00f"
    assert "targetingKey" not in flags.context
    flags.track("Purchase")
    assert client.sent == []
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


@pytest.mark.parametrize("given", [object(), True, 1.5, {"id": 7}, ["ann"]])
def test_a_user_that_is_no_id_is_told_and_links_nobody(given, caplog):
    client = Recorder()
    flags = flags_for(client, COOKIES, user=lambda _: given)
    assert flags.context == {"targetingKey": ID, "anonymousId": ID}
    assert client.sent == []
    assert f"user gave a {type(given).__name__}" in caplog.text


def test_attributes_that_are_no_mapping_are_told(caplog):
    flags = flags_for(Recorder(), COOKIES, attributes=lambda _: ["plan", "staff"])
    assert flags.context == {"targetingKey": ID, "anonymousId": ID}
    assert "attributes gave a list" in caplog.text


def test_headers_of_the_page_stand():
    flags = flags_for(Recorder(), COOKIES)
    flags.variant("checkout")
    assert flags.headers({"cache-control"}) == [("Vary", "Cookie")]


async def _user(_):
    await asyncio.sleep(0)
    return "ann"


def test_asynchronous_hooks_are_awaited_first():
    async def visit():
        flags = flags_for(Recorder(), COOKIES, user=_user)
        with pytest.raises(RuntimeError, match=r"await flags\.load"):
            flags.variant("checkout")
        assert (await flags.load()) is flags
        return flags.context

    assert asyncio.run(visit())["userId"] == "ann"


def test_an_asynchronous_hook_that_fails_recognises_nobody(caplog):
    async def fail(_):
        raise ConnectionError("sessions are away")

    async def visit():
        return await flags_for(Recorder(), COOKIES, consent=fail).load()

    assert asyncio.run(visit()).context == {}
    assert "sessions are away" in caplog.text
