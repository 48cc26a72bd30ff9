"""The seam between flags and where they are kept: YAML files now, a control store later."""

from collections.abc import Hashable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from upshot.assignment.ledger import Ledger
from upshot.formats.flag_findings import Finding, Sources
from upshot.model.flag import FlagSet
from upshot.store.kill_file import Switched


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a store holds.

    Attributes:
        flags: what people wrote, as far as it can be read.
        ledger: the draws given out so far.
        applied: the flags that they were given out for; None before the first.
        problems: everything that is wrong with what people wrote, a sentence each.
        findings: those of them that are about one thing, so that what follows from them is not told again.
        sources: where each thing is written.
        kills: flags that are off whatever is written.
    """

    flags: FlagSet
    ledger: Ledger = field(default_factory=Ledger)
    applied: FlagSet | None = None
    problems: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    sources: Sources = field(default_factory=Sources)
    kills: Switched = field(default_factory=Switched)


class FlagStore(Protocol):
    """Where flags are kept."""

    @property
    def name(self) -> str:
        """What messages call it, such as its directory."""

    def version(self) -> Hashable:
        """Changes when something was edited; cheap enough to ask each second. Never raises."""

    def read(self) -> Stored:
        """Everything, mistakes included. Raises InputError only where nothing can be read."""

    def write(self, ledger: Ledger, applied: FlagSet) -> None:
        """Keep the draws and what they were given out for, all of it or nothing. Raises InputError."""

    def alone(self) -> AbstractContextManager[None]:
        """Nobody else reads to write meanwhile, so that two servers never draw two salts for one rule."""
