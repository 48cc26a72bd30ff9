"""Experiments that were taken out and are put back: the ledger knows how they were drawn, so nobody can sneak past."""

from collections.abc import Iterator

from upshot.assignment.ledger import Ledger, experiment_place
from upshot.assignment.ranges import SPACE, shares, size
from upshot.assignment.touched import Edit, Running, World
from upshot.model.flag import Trial


def returned_edits(world: World, ledger: Ledger) -> Iterator[Edit]:
    """Edits of experiments that are new beside what was applied last, but had been drawn before.

    Whom their conditions let in at that time is not known any more; their salt, split and traffic are.
    """
    known = {
        rule.experiment.id for flag in world.before.flags.values() for rule in flag.rules if rule.experiment
    }
    for key, rule in world.rules():
        if rule.experiment and rule.experiment.id not in known:
            returning = Running(flag=key, rule=rule.id, before=rule.experiment, after=rule.experiment)
            yield from _returned(returning, ledger)


def _returned(returning: Running, ledger: Ledger) -> Iterator[Edit]:
    trial, last = returning.after, _last_phase(returning.after, ledger)
    what = f"flag {returning.flag}, rule {returning.rule}: {trial.id} was stopped and returns"
    if trial.phase < last:
        yield returning.blocked(what, f"which opens phase {trial.phase} again", f"give phase {last} or more")
    elif trial.phase == last:
        yield from (returning.touched(f"{what} with {change}", _WHY) for change in _changes(trial, ledger))


_WHY = "which would mix two allocations in one phase"


def _last_phase(trial: Trial, ledger: Ledger) -> int:
    """The highest phase that was ever drawn; 0 where none was."""
    prefix = experiment_place(trial.id, "")
    return max(
        (int(place.removeprefix(prefix)) for place in ledger.splits if place.startswith(prefix)), default=0
    )


def _changes(trial: Trial, ledger: Ledger) -> Iterator[str]:
    place = experiment_place(trial.id, trial.phase)
    old = {name: size(ranges) for name, ranges in ledger.splits[place].items() if ranges}
    if old != {name: drawn for name, drawn in shares(trial.split).items() if drawn}:
        yield "another split"
    if size(ledger.traffic[place]) > round(trial.traffic / 100 * SPACE) + 1:
        yield "less traffic"
    if trial.salt is not None and trial.salt != ledger.salts[place]:
        yield "another salt"
