"""What the API is made over, and how a request gets at it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from upshot.store.control import ControlStore

if TYPE_CHECKING:
    from upshot.services.defined import Defined
    from upshot.services.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the API is made over.

    Attributes:
        store: what people decided.
        workspace: gives what experiments need to know, with what files define at that moment.
        defined: gives what is measured, as files say it at that moment.
    """

    store: ControlStore
    workspace: "Callable[[], Workspace]"
    defined: "Callable[[], Defined]"


def parts_of(request: Request) -> Parts:
    """The parts of the application that answers."""
    parts: Parts = request.app.state.parts
    return parts


Given = Annotated[Parts, Depends(parts_of)]
