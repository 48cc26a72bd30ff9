"""A paper: titled sections of facts, sentences and tables, written once and shown as Markdown, HTML or a message."""

from collections.abc import Sequence
from dataclasses import dataclass

from upshot.report import words
from upshot.report.cells import Table
from upshot.report.document import bullets, escape, table


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Names and what they are."""

    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Sentences: a list, or paragraphs of their own."""

    lines: Sequence[str]
    listed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """An SVG that Upshot drew, with a title and how to read it; where there are no pictures it is left out."""

    title: str
    note: str
    svg: str


Block = Facts | Lines | Table | Drawing


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A titled part of a paper."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """What is shown.

    Attributes:
        title: what it is about. badge: one word that stands out, as SHIP; may be empty.
        headline: one sentence for people who read nothing else. beside: a line of small facts; may be empty.
        sections: all else, in order; those without blocks are left out.
    """

    title: str
    badge: str
    headline: str
    beside: str
    sections: Sequence[Section]

    @property
    def filled(self) -> tuple[Section, ...]:
        """The sections that say something."""
        return tuple(section for section in self.sections if section.blocks)


def paragraph(*sentences: str) -> Lines:
    """Sentences that stand on their own."""
    return Lines(lines=sentences, listed=False)


def markdown(paper: Paper) -> str:
    """CommonMark with tables; whatever people typed is escaped."""
    badge = f"**{escape(paper.badge)}** · " if paper.badge else ""
    head = [f"# {escape(paper.title)}", f"> {badge}{escape(words.sentence(paper.headline))}"]
    beside = [f"*{escape(paper.beside)}*"] if paper.beside else []
    bodies = [(one.title, "\n\n".join(filter(None, map(_markdown, one.blocks)))) for one in paper.filled]
    parts = [f"## {escape(title)}\n\n{body}" for title, body in bodies if body]
    return "\n\n".join([*head, *beside, *parts]) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Facts():
            return "\n".join(f"- **{escape(name)}**: {escape(text)}" for name, text in block.facts)
        case Lines():
            return bullets(block.lines) if block.listed else "\n\n".join(map(escape, block.lines))
        case Table():
            return table(block)
        case Drawing():
            return ""


def message(paper: Paper) -> str:
    """A text for chats that know bold (``*so*``) and no tables; the title is told apart."""
    bodies = [(one.title, "\n".join(filter(None, map(_message, one.blocks)))) for one in paper.filled]
    parts = [f"*{_inert(title)}*\n{body}" for title, body in bodies if body]
    return "\n\n".join([_inert(words.sentence(paper.headline)), *parts])


def _message(block: Block) -> str:
    match block:
        case Facts():
            return "\n".join(f"• {_inert(name)}: {_inert(text)}" for name, text in block.facts)
        case Lines():
            return "\n".join(f"{'• ' if block.listed else ''}{_inert(line)}" for line in block.lines)
        case Table():
            return "\n".join("• " + " · ".join(_inert(cell) for cell in row if cell) for row in block.rows)
        case Drawing():
            return ""


def _inert(text: str) -> str:
    """Text of which a chat makes no bold, code or strike-through."""
    return words.plain(text).translate({ord("*"): "∗", ord("`"): "'", ord("~"): "∼"})
