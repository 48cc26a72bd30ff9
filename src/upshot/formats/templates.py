"""Templates: worked experiments that ship with Upshot, one for each type, to copy and to change.

A file has two parts: what there is to know about experiments of its type, and below a line of three dashes the
experiment as a team would write it.
"""

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

from upshot.errors import NotFoundError
from upshot.formats.experiments import design_from_yaml
from upshot.formats.number import parse_number
from upshot.formats.yaml_text import read_yaml, write_yaml
from upshot.model.experiment import Design

_PARTS = "\n---\n"
_WIDTH = 108


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A worked experiment.

    Attributes:
        name: the type of its experiment, by which it is asked for.
        about: what such an experiment answers, in a sentence.
        watch: what goes wrong with experiments of this type, and what to do about it.
        sized: what its units are computed from: the baseline of the metric that decides, ``std`` where it is a mean,
            ``r2`` where a covariate explains some of it.
        text: the experiment's YAML. design: what that says.
    """

    name: str
    about: str
    watch: tuple[str, ...]
    sized: Mapping[str, float]
    text: str
    design: Design


@cache
def templates() -> dict[str, Template]:
    """All templates by name."""
    folder = files("upshot") / "templates"
    texts = {
        entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8")
        for entry in folder.iterdir()
        if entry.name.endswith(".yaml")
    }
    return {name: _read(name, texts[name]) for name in sorted(texts)}


def template(name: str) -> Template:
    """The template of that name.

    Raises:
        NotFoundError: there is none.

    >>> template("viral").design.plan.unit_kind
    'account'
    """
    known = templates()
    if name not in known:
        close = get_close_matches(name, known, n=1)
        mend = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
        raise NotFoundError(f"there is no template {name}: {mend}")
    return known[name]


def filled(worked: Template, *, name: str = "", owner: str = "", flag: str = "") -> str:
    """The file of a new experiment made of a template, with what to watch out for as comments above it.

    Args:
        name, owner, flag: put in the place of the template's own; empty: that one's stay.
    """
    about = textwrap.fill(worked.about, _WIDTH, initial_indent="# ", subsequent_indent="# ")
    lines = [about, "#", "# What to watch out for:", *(_comment(one) for one in worked.watch)]
    text = worked.text
    for field, value in (("name", name), ("owner", owner), ("flag", flag)):
        text = _with(text, field, value) if value else text
    return "\n".join([*lines, text])


def _with(text: str, field: str, value: str) -> str:
    """The text with another value in the line of a field."""
    line = write_yaml({field: value}).rstrip("\n")
    return re.sub(rf"^{field}: .*$", lambda _: line, text, count=1, flags=re.MULTILINE)


def _comment(text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent="# - ", subsequent_indent="#   ")


def _read(name: str, text: str) -> Template:
    head, body = text.split(_PARTS)
    told = read_yaml(head, name)
    return Template(
        name=name,
        about=told["about"],
        watch=tuple(told["watch"]),
        sized={key: parse_number(str(value)) for key, value in told["sized"].items()},
        text=body,
        design=design_from_yaml(body, name),
    )
