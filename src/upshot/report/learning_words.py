"""Learnings in words: whose they are, and what supports and contradicts them."""

from collections.abc import Sequence

from upshot.model.learning import Learning, Link
from upshot.report import words


def head(learning: Learning) -> str:
    """One line that says of what it is: number, experiment, decision, type and tags."""
    told = [
        f"{learning.id}",
        learning.experiment,
        words.plain(learning.name),
        learning.verdict or "",
        learning.type or "",
        words.day(learning.at.date()),
        " ".join(f"#{words.plain(tag)}" for tag in learning.tags),
    ]
    return " · ".join(part for part in told if part)


def link_lines(links: Sequence[Link]) -> tuple[str, ...]:
    """What supports it and what contradicts it, a sentence each."""
    return tuple(
        f"{start} {_listing([one for one in links if one.supports is supports])}."
        for supports, start in ((True, "Supported by"), (False, "Contradicted by"))
        if any(one.supports is supports for one in links)
    )


def _listing(links: Sequence[Link]) -> str:
    return words.listing([f"{_name(link.learning)} ({words.plain(link.metric)})" for link in links])


def _name(learning: Learning) -> str:
    return learning.experiment or f"learning {learning.id}"
