"""A paper as one HTML file: no script, no outside request, readable everywhere."""

from markupsafe import Markup

from upshot.report.cells import Table
from upshot.report.page import fill
from upshot.report.paper import Drawing, Facts, Lines, Paper


def html(paper: Paper) -> str:
    """One self-contained page; whatever people typed is escaped."""
    sections = [(one.title, [_shown(block) for block in one.blocks]) for one in paper.filled]
    return fill("paper", "report", paper=paper, sections=sections)


def _shown(block: Facts | Lines | Table | Drawing) -> tuple[str, object]:
    """A block with the kind by which the template tells it from the others."""
    match block:
        case Facts():
            return "facts", block.facts
        case Lines():
            return "list" if block.listed else "text", block.lines
        case Table():
            return "table", block
        case Drawing():
            return "drawing", (block.title, block.note, Markup(block.svg))  # noqa: S704 - drawn by us, serialised as XML
