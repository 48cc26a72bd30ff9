"""A server in this process: its parts opened, served, and closed again."""

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from typing import TYPE_CHECKING, Any

from upshot.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from upshot.bootstrap import Clock
    from upshot.services.defined import Defined
    from upshot.store.control import ControlStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What every process of a server is told.

    Attributes:
        data: the data directory.
        flags: the directory of flags; None: they are in the control store.
        store: the URL of the control store; None: it is in the data directory.
        settings: with both keys.
        compact_every: seconds between looks for sealed logs; 0: another server compacts.
        metrics: the folder of metrics over events, by which looks are taken; None: metrics/ where there is one.
        seal_every: seconds after which a log is sealed, so that it can be brought into files.
    """

    data: Path
    flags: Path | None = None
    store: str | None = None
    settings: Settings
    compact_every: float = 5.0
    metrics: Path | None = None
    seal_every: float = 60.0


def serve(serving: Serving, listening: socket, told: Callable[[Mapping[str, Any]], None]) -> None:
    """Serve until SIGTERM or SIGINT comes.

    Args:
        serving: what. listening: where.
        told: is told what is served once it is: the revision of the flags, and how many there are.

    Raises:
        InputError, UnavailableError: something cannot be opened.
    """
    from upshot.bootstrap import open_clock, open_flags, open_log, open_store
    from upshot.doors.web.app import create_app
    from upshot.doors.web.later import Later
    from upshot.doors.web.server import run
    from upshot.services.key_ring import KeyRing
    from upshot.store.flag_files import FlagDirectory
    from upshot.store.flags import StoredFlags

    clock = open_clock(serving.settings)
    flags = None if serving.flags is None else open_flags(FlagDirectory(serving.flags), clock)
    with (
        closing(open_log(serving.data, serving.seal_every)) as log,
        closing(open_store(serving.data, serving.store, made=True, clock=clock)) as store,
    ):
        flags = flags or open_flags(StoredFlags(store, "upshot serve"), clock)
        api = Later(lambda: _api(serving, store, clock))
        app = create_app(flags, log, serving.settings, lambda: clock().timestamp(), KeyRing(store), api)
        told({"revision": flags.current.revision, "flags": len(flags.current.ruleset.flag_keys)})
        run(app, listening)


def _api(serving: Serving, store: "ControlStore", clock: "Clock") -> "ASGIApp":
    """The API, over the store that is open already, and what files define when it is asked."""
    from upshot.bootstrap import open_flag_store, workspace_over
    from upshot.doors.web.api.app import create_api
    from upshot.doors.web.api.parts import Parts

    def defined() -> "Defined":
        from upshot.services.defined import read_defined

        return read_defined(serving.metrics, store)

    flags = open_flag_store(serving.flags, store)
    parts = Parts(
        store=store,
        workspace=lambda: workspace_over(store, flags, serving.data, serving.metrics, clock),
        defined=defined,
    )
    return create_api(parts)
