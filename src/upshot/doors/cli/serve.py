"""`upshot serve`: flags for servers and browsers, from files that may be edited meanwhile, and a log for events."""

import json
import logging
import os
import secrets
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from upshot.doors.cli.control import STORE
from upshot.errors import InputError

if TYPE_CHECKING:
    from upshot.settings import Settings

EPILOG = """\b
Examples:
  upshot serve --flags flags --data upshot-data
  UPSHOT_SERVER_KEY=... UPSHOT_CLIENT_KEY=... upshot serve --flags flags --host 0.0.0.0

\b
Environment:
  UPSHOT_SERVER_KEY       opens everything, rules included; for your servers
  UPSHOT_CLIENT_KEY       opens evaluated values and takes events; for browsers and phones
  UPSHOT_ALLOWED_ORIGINS  web origins whose pages may ask, with commas between [*]
  UPSHOT_FLAG_SET         what evaluations report as flagSetId [default]
  UPSHOT_RATE_LIMIT       events a second that each key may send [any number]
  UPSHOT_ALERTS           where alerts go, with blanks between: https://HOST/PATH is a signed webhook,
                          slack+https://... Slack's and the like, others Apprise's (mailtos://...)
  UPSHOT_ALERT_SECRET     what webhooks are signed with (Standard Webhooks)
  UPSHOT_ALERTS_ALLOW     hosts or networks that are not public and may get alerts all the same
  UPSHOT_ERROR_EVENT      the event that monitoring takes for an error [Error]
  UPSHOT_ERROR_PROPERTY   the property that makes any event one where it is true [error]
  UPSHOT_LATENCY_PROPERTY the property with the milliseconds that something took [latency_ms]
  UPSHOT_CLOCK            the file of a clock that a simulation moves, as `upshot demo` does [the system's]
"""

_AT_HOME = ("127.0.0.1", "::1", "localhost")


@click.command("serve", epilog=EPILOG)
@click.option("--flags", "directory", required=True, metavar="DIR", help="Folder of flags as YAML files.")
@click.option(
    "--data",
    default="upshot-data",
    metavar="DIR",
    help="Folder that events are kept in; made where it is missing [upshot-data].",
)
@click.option(
    "--compact-every",
    type=click.FloatRange(0),
    default=5.0,
    metavar="SECONDS",
    help="Look so often for sealed logs to bring into files; 0: never, another server does [5].",
)
@STORE
@click.option("--host", default="127.0.0.1", metavar="HOST", help="Address to listen on [127.0.0.1].")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8790, help="Port; 0 takes any that is free [8790]."
)
@click.option("--json", "as_json", is_flag=True, help="Say where it serves as one line of JSON.")
def command(
    directory: str, data: str, compact_every: float, url: str | None, host: str, port: int, as_json: bool
) -> None:
    """Serve flags by OFREP and to Upshot's SDK, and take events by Segment's HTTP API.

    Edited files are in force a second later. Events are on the disk before they are answered.

    Keys that `upshot key create` gives out open it a second later, beside those of the environment. Without keys in
    the environment, and as long as only this machine can reach it, it makes keys and prints them.
    """
    from upshot.bootstrap import (
        open_alerts,
        open_anomalies,
        open_clock,
        open_flags,
        open_log,
        open_monitor,
        open_store,
    )
    from upshot.doors.web.app import create_app
    from upshot.doors.web.beside import Beside
    from upshot.doors.web.server import listen, run
    from upshot.services import monitoring
    from upshot.services.anomalies import EVERY
    from upshot.services.key_ring import KeyRing
    from upshot.settings import read_settings

    given = read_settings(os.environ)
    settings = _with_keys(given, host)
    clock = open_clock(settings)
    flags = open_flags(Path(directory), clock)
    listening = listen(host, port)
    about = {
        "url": f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}",
        "revision": flags.current.revision,
        "flags": len(flags.current.ruleset.flag_keys),
        "data": str(Path(data).absolute()),
        **({} if given.server_key else {"server_key": settings.server_key}),
        **({} if given.client_key else {"client_key": settings.client_key}),
    }
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    with (
        closing(open_log(Path(data))) as log,
        closing(open_store(Path(data), url, made=True, clock=clock)) as store,
        _compacting(Path(data), compact_every),
    ):
        alerts = open_alerts(store, settings, clock)
        with closing(open_monitor(Path(directory), Path(data), alerts, settings, clock)) as monitor:
            anomalies = open_anomalies(Path(directory), Path(data), alerts, clock)
            beside = (
                Beside(monitor.look, monitoring.EVERY),
                Beside(anomalies.look, EVERY),
                Beside(alerts.deliver, 1.0),
            )
            app = create_app(flags, log, settings, lambda: clock().timestamp(), KeyRing(store), beside)
            click.echo(json.dumps(about) if as_json else _told(about))
            run(app, listening)


def _compacting(data: Path, every: float) -> AbstractContextManager[None]:
    from upshot.services.compactor import compacting

    return compacting(data, every) if every else nullcontext()


def _with_keys(settings: "Settings", host: str) -> "Settings":
    """The settings, with keys made up for those that are missing where nobody else can reach the server.

    Raises:
        InputError: others can.
    """
    keys = {"UPSHOT_SERVER_KEY": settings.server_key, "UPSHOT_CLIENT_KEY": settings.client_key}
    missing = [name for name, key in keys.items() if key is None]
    if missing and host not in _AT_HOME:
        raise InputError(
            f"{missing[0]} is not set, and others can reach {host}: give at least 16 random characters, "
            'such as python -c "import secrets; print(secrets.token_urlsafe(32))" makes'
        )
    return replace(
        settings,
        server_key=settings.server_key or secrets.token_urlsafe(24),
        client_key=settings.client_key or secrets.token_urlsafe(24),
    )


def _told(about: dict[str, Any]) -> str:
    count = f"{about['flags']} flag{'' if about['flags'] == 1 else 's'}"
    lines = [f"Serving {count} (revision {about['revision']}) at {about['url']}"]
    lines += [f"  events go to {about['data']}"]
    lines += [
        f"  {name.replace('_', ' ')}, made for this run: {about[name]}"
        for name in ("server_key", "client_key")
        if name in about
    ]
    return "\n".join(lines)
