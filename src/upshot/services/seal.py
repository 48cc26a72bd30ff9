"""Breaking the seal of an experiment: somebody sees effects before its decision point, and everybody hears of it."""

from dataclasses import replace

from upshot.errors import ConflictError, InputError
from upshot.model.course import Unsealing
from upshot.report.findings import Findings
from upshot.services.live import findings_of
from upshot.services.sealing import is_sealed
from upshot.services.workspace import Workspace
from upshot.store import alerts, experiments, looks
from upshot.store.alerts import Finding


def break_seal(
    workspace: Workspace, experiment_id: str, actor: str, reason: str, expected: int | None = None
) -> Findings:
    """The last look at a sealed experiment with all of its effects; that it was seen is in the audit chain.

    The first time is kept on the experiment: its reports print it, and qualitative notes that are dated later count no
    more. All other doors stay sealed.

    Raises:
        NotFoundError: there is no such experiment.
        InputError: no reason is given.
        ConflictError: nobody looked at it yet, it is not sealed, or somebody else changed it meanwhile.
    """
    if not reason.strip():
        raise InputError(
            "no reason is given: whoever sees an effect early must say why, and the report prints it"
        )
    with workspace.store.changing(actor, reason) as change:
        experiment = experiments.find(change.connection, experiment_id)
        last = looks.last(change.connection, experiment_id)
        if last is None or last.phase != experiment.phase:
            raise ConflictError(
                f"nobody looked at {experiment_id} yet: there is nothing to see behind the seal"
            )
        before = looks.history(change.connection, experiment_id, last.phase)[: last.number - 1]
        plan = experiments.plan_of(change.connection, last.plan_hash)
        findings = findings_of(plan, last.evidence, before, last.look.day, last.situation)
        if not is_sealed(plan, findings.analysis):
            raise ConflictError(
                f"{experiment_id} is not sealed: `upshot look {experiment_id}` shows its effects"
            )
        opened = Unsealing(at=change.at, actor=actor, reason=reason)
        course = replace(
            experiment.course,
            unsealed=experiment.course.unsealed or opened,
            unsealings=experiment.course.unsealings + 1,
        )
        experiments.save_course(change, experiment_id, "experiment.unsealed", course, expected)
        alerts.sight(change, _news(experiment_id, opened))
    return findings


def _news(experiment_id: str, opened: Unsealing) -> Finding:
    return Finding(
        key=f"seal/{experiment_id}",
        subject=f"experiment/{experiment_id}",
        severity="warning",
        what=f"{opened.actor} broke the seal of {experiment_id}: {opened.reason}",
        advice="decide at its decision point all the same; its report says that effects were seen before",
    )
