"""What a notebook shows for findings: verdict, doubts, one table with interval bars, the lift over time."""

from markupsafe import Markup

from upshot.report import charts, figures, page
from upshot.report.findings import Findings


def repr_html(findings: Findings) -> str:
    """A fragment that styles only itself, and takes ink and paper from the notebook's theme."""
    figure = next(figures.lifts(findings), None)
    return page.render(
        "notebook",
        findings,
        figure=figure,
        drawing=Markup(charts.to_svg(figure.spec)) if figure else "",  # noqa: S704 - drawn by us
    )
