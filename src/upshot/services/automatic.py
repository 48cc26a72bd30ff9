"""What becomes of experiments by themselves: decisions that their plans leave to the rule, and rollouts that end.

Only where the design names a verdict is it decided without a person. Proven harm is turned off by the watch over it
(`upshot.services.harm_watch`), and its experiment then waits to be decided as any other.
"""

from datetime import timedelta

from upshot.errors import ConflictError, UpshotError
from upshot.model.lifecycle import State
from upshot.services.decisions import Choice, Recommendation, decide, is_done, recommendation
from upshot.services.execution import clean_up
from upshot.services.experiments import found, listed
from upshot.services.lagging import due
from upshot.services.workspace import Workspace
from upshot.store import alerts, experiments
from upshot.store.alerts import Finding
from upshot.store.experiments import Experiment

ACTOR = "upshot decisions"
SCOPE = "automatic/"
"""What begins the keys of alerts that something cannot go on by itself."""
TOLD = timedelta(days=7)
"""For so long a decision is news."""
WATCHED: tuple[State, ...] = ("running", "analyzing", "killed", "decided")


def decide_automatically(workspace: Workspace, experiment_id: str) -> Experiment | None:
    """Decide an experiment where nobody has to be asked; None where somebody has, or it is too early.

    A verdict is carried out where the design names it under ``automatic``, nothing got worse and no check failed. A
    rollout whose last step is taken is completed.

    Raises:
        NotFoundError: there is no such experiment. ConflictError: somebody decided, changed or looked meanwhile.
    """
    experiment = found(workspace, experiment_id)
    if experiment.state == "decided":
        return _completed(workspace, experiment)
    if experiment.state not in WATCHED:
        return None
    advice = recommendation(workspace, experiment_id)
    if not _is_left_to_the_rule(experiment, advice) or advice.verdict is None:
        return None
    verdict = "KILL" if experiment.state == "killed" else advice.verdict
    if verdict not in ("SHIP", "KILL", "ITERATE", "EXTEND"):
        return None
    choice = Choice(verdict=verdict, reason=advice.headline, automatic=True)
    return decide(workspace, experiment_id, choice, ACTOR, experiment.version)


def _is_left_to_the_rule(experiment: Experiment, advice: Recommendation) -> bool:
    if advice.is_sealed or advice.losses or advice.failed or advice.verdict is None:
        return False
    return advice.verdict in experiment.design.execution.automatic


def _completed(workspace: Workspace, experiment: Experiment) -> Experiment | None:
    """A decision whose rollout has taken its last step is carried out; its flag keeps one rule."""
    if not is_done(experiment, workspace.clock()):
        return None
    with workspace.store.changing(ACTOR, "the last step of the rollout is taken") as change:
        clean_up(workspace, change, experiment)
        return experiments.move(change, experiment.id, "completed", experiment.version)


def complete(workspace: Workspace, experiment_id: str, actor: str, reason: str) -> Experiment:
    """Say that a decision is carried out, such as an edit of flags that are kept in files.

    Raises:
        NotFoundError: there is no such experiment. ConflictError: it is not decided, or its rollout goes on.
    """
    experiment = found(workspace, experiment_id)
    decision = experiment.course.decision
    if decision is not None and decision.done_at is not None and not is_done(experiment, workspace.clock()):
        raise ConflictError(f"the rollout of {experiment_id} goes on until {decision.done_at:%Y-%m-%d %H:%M}")
    with workspace.store.changing(actor, reason) as change:
        clean_up(workspace, change, experiment)
        return experiments.move(change, experiment_id, "completed", experiment.version)


def advance(workspace: Workspace) -> tuple[Finding, ...]:
    """Everything that is due by itself, for a job to call: decisions, rollouts, lagging outcomes, news that are old.

    Returns: what could not be done, to be told; it hinders nothing else.
    """
    found_faults = []
    for state in WATCHED:
        for experiment in listed(workspace, state):
            try:
                decide_automatically(workspace, experiment.id)
            except ConflictError:  # somebody was quicker: the next time sees what is left
                continue
            except UpshotError as error:
                found_faults.append(_fault(experiment, error))
    for experiment in listed(workspace, "completed"):
        try:
            due(workspace, experiment.id)
        except UpshotError as error:
            found_faults.append(_fault(experiment, error))
    _forget_news(workspace)
    return tuple(found_faults)


def _fault(experiment: Experiment, error: UpshotError) -> Finding:
    return Finding(
        key=f"{SCOPE}{experiment.id}",
        subject=f"experiment/{experiment.id}",
        severity="warning",
        what=f"{experiment.id} cannot go on by itself: {error}",
        advice=f"see `upshot experiment show {experiment.id}`",
    )


def _forget_news(workspace: Workspace) -> None:
    """End what was news: a decision that was told is no trouble that lasts."""
    now = workspace.clock()
    with workspace.store.reading() as connection:
        old = [
            one.finding.key
            for one in alerts.lasting(connection)
            if one.finding.key.startswith(("decision/", "lagging/")) and now - one.first_seen >= TOLD
        ]
    if old:
        with workspace.store.changing(ACTOR, "it is no news any more") as change:
            for key in old:
                alerts.end(change, key)
