"""The experiments of the shop: what is true of each, and what a sound analysis must therefore say."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from upshot.model.decision import Cause, Verdict

DAYS = 14
VISITORS = 12_600
"""In all days together: enough for each verdict to be beyond chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An experiment whose truth is known.

    Attributes:
        id: its id. flag: the key of the flag that carries it, and the name of its plan and reports.
        truth: what is true, in a sentence. verdict, cause: what must be found.
    """

    id: str
    flag: str
    truth: str
    verdict: Verdict
    cause: Cause


EXPERIMENTS = (
    Known(
        id="EXP-2026-001",
        flag="checkout",
        truth="one page brings a fifth more orders, and nothing else changes",
        verdict="SHIP",
        cause="better",
    ),
    Known(
        id="EXP-2026-002",
        flag="stock-widget",
        truth="the widget fills more carts, and the app crashes fifteen times as often",
        verdict="KILL",
        cause="harm",
    ),
    Known(
        id="EXP-2026-003",
        flag="landing-page",
        truth="no effect, but a broken redirect loses a quarter of the new page's mobile visitors",
        verdict="INVESTIGATE",
        cause="check",
    ),
    Known(
        id="EXP-2026-004",
        flag="button",
        truth="the colour of the button changes nothing",
        verdict="KILL",
        cause="no_effect",
    ),
    Known(
        id="EXP-2026-005",
        flag="like-with-like",
        truth="like is compared with like",
        verdict="CONTINUE",
        cause="healthy",
    ),
    Known(
        id="EXP-2026-006",
        flag="streaks",
        truth="streaks bring 60% more rides at first, and the gain halves every two and a half days",
        verdict="DISCUSS",
        cause="fading",
    ),
)


def write_shop(folder: Path) -> None:
    """Write the files of the shop below a folder, as a team would have them: flags, metrics, plans."""
    here = files("upshot.simulate.shop")
    for name in ("flags", "metrics"):
        (folder / name).mkdir()
        (folder / name / "shop.yaml").write_bytes((here / f"{name}.yaml").read_bytes())
    (folder / "plans").mkdir()
    for known in EXPERIMENTS:
        plan = here / "plans" / f"{known.flag}.yaml"
        (folder / "plans" / f"{known.flag}.yaml").write_bytes(plan.read_bytes())
