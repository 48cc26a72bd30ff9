"""The life of an experiment: its states, and which may follow which."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

State = Literal[
    "planned", "implemented", "running", "analyzing", "decided", "completed", "iterated", "killed"
]  # fmt: skip

FOLLOWERS: Mapping[State, tuple[State, ...]] = MappingProxyType(
    {
        "planned": ("implemented", "running"),
        "implemented": ("planned", "running"),
        "running": ("analyzing", "killed"),
        "analyzing": ("running", "decided", "killed"),  # running again: an extension, or a new phase
        "decided": ("completed", "iterated"),
        "completed": ("analyzing",),  # a lagging check reopens it
        "iterated": (),
        "killed": ("decided",),
    }
)
"""State -> the states that may follow it."""
