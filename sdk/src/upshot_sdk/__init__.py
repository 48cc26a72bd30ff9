"""Upshot's flags in an application: context in, variant out.

    ruleset = Ruleset.from_json(text)
    ruleset.evaluate("checkout", {"targetingKey": "user-1", "country": "CA"}, default="a").value

Names are loaded when they are first asked for: importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from upshot_sdk.bucketing import draws
    from upshot_sdk.client import Client
    from upshot_sdk.evaluation import Evaluation
    from upshot_sdk.node import RulesetError
    from upshot_sdk.ruleset import Ruleset

__version__ = "0.1.0"
__all__ = ["Client", "Evaluation", "Ruleset", "RulesetError", "draws"]

_HOMES = {
    "Client": "client",
    "Evaluation": "evaluation",
    "Ruleset": "ruleset",
    "RulesetError": "node",
    "draws": "bucketing",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
