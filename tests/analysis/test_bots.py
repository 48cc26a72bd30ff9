"""Programs are told from people, and only where they decide something."""

import numpy as np
import pytest

from upshot.analysis.bots import Behaviour, Outcome, bots_matter, why_bot


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/125.0 Safari/537.36",
        "Mozilla/5.0 (compatible; YandexBot/3.0)",
        "Slackbot-LinkExpanding 1.0",
        "python-requests/2.32",
        "AhrefsBot/7.0",
        "curl/8.5.0",
    ],
)
def test_programs_that_say_so(agent):
    assert why_bot(Behaviour(user_agent=agent)) == "its browser says so"


@pytest.mark.parametrize(
    "agent",
    [
        "",
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0 Safari/537.36",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E1",
        "Mozilla/5.0 (Linux; Android 13; CUBOT X30) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36",
    ],
)
def test_people(agent):
    assert (
        why_bot(Behaviour(user_agent=agent, most_a_minute=100, gaps=500, gap_mean=9.0, gap_std=14.0)) is None
    )


def test_programs_by_what_they_do():
    assert why_bot(Behaviour(most_a_minute=300)) == "300 events in a minute"
    regular = Behaviour(gaps=40, gap_mean=30.0, gap_std=0.2)
    assert why_bot(regular) == "its events are as regular as a clock's"
    assert why_bot(Behaviour(gaps=10, gap_mean=30.0, gap_std=0.2)) is None
    assert why_bot(Behaviour(gaps=40)) is None


def test_people_are_never_as_regular_as_that():
    """Seed 1; gaps of 10,000 people from exponential to as even as a coefficient of variation of 0.3."""
    rng = np.random.default_rng(1)
    for shape in (1, 4, 11):
        gaps = rng.gamma(shape, 10, (3000, 20))
        assert not any(
            why_bot(Behaviour(gaps=20, gap_mean=float(one.mean()), gap_std=float(one.std()))) for one in gaps
        )


def test_both_results_are_told_where_the_verdict_differs():
    whole, without = (
        Outcome(units=1000, verdict="SHIP", lift=0.05),
        Outcome(units=900, verdict="CONTINUE", lift=0.01),
    )
    anomaly = bots_matter("experiment/E", 100, whole, without)
    assert anomaly.said == (
        "with 100 units that look like programs: SHIP, lift 5.0%; without them: CONTINUE, lift 1.0%"
    ).replace(".0%", "%")
    assert bots_matter("experiment/E", 100, whole, whole) is None
    assert bots_matter("experiment/E", 0, whole, without) is None
    assert (
        "no lift" in bots_matter("experiment/E", 9, Outcome(units=9, verdict="SHIP", lift=None), without).said
    )
