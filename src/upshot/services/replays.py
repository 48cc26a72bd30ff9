"""Every look at an experiment given again from what was kept of it: the same, or what is not."""

from dataclasses import dataclass

from upshot.services.live import again
from upshot.services.workspace import Workspace
from upshot.store import experiments, looks


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """A look that was given again.

    Attributes:
        phase, number: which it is. verdict: what it says, sealed where it is. differs: what it says otherwise; empty
            where it is the same.
    """

    phase: int
    number: int
    verdict: str
    differs: tuple[str, ...]


def replay(workspace: Workspace, experiment_id: str) -> tuple[Replayed, ...]:
    """Every look at an experiment, given again: plan, evidence, the looks before and what people knew make the verdict.

    Raises:
        NotFoundError: there is no such experiment.
    """
    with workspace.store.reading() as connection:
        experiments.find(connection, experiment_id)
        given = [again(connection, look) for look in looks.listed(connection, experiment_id)]
    return tuple(
        Replayed(
            phase=one.phase,
            number=one.number,
            verdict=f"{one.findings.verdict.verdict} ({one.findings.verdict.cause})",
            differs=tuple(line.partition(" was ")[0] for line in one.differs)
            if one.is_sealed
            else one.differs,
        )
        for one in given
    )
