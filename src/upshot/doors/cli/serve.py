"""`upshot serve`: flags for servers and browsers, which may be edited meanwhile, and a log for events."""

import json
import logging
import os
import secrets
from collections.abc import Mapping
from contextlib import ExitStack
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
  UPSHOT_KEEP_EVENTS      days after which events are removed, as 400d [they are kept]
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
@click.option(
    "--flags",
    "directory",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder of flags as YAML files [those in the store].",
)
@click.option(
    "--data",
    default="upshot-data",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder that events are kept in; made where it is missing [upshot-data].",
)
@click.option(
    "--metrics",
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of metrics over events, by which experiments are looked at [metrics].",
)
@click.option(
    "--compact-every",
    type=click.FloatRange(0),
    default=5.0,
    metavar="SECONDS",
    help="Look so often for sealed logs to bring into files; 0: never, another server does [5].",
)
@click.option(
    "--seal-every",
    type=click.FloatRange(0.1),
    default=60.0,
    metavar="SECONDS",
    help="Seal a log after so long; what is in files is cheaper to look at [60].",
)
@STORE
@click.option("--host", default="127.0.0.1", metavar="HOST", help="Address to listen on [127.0.0.1].")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8790, help="Port; 0 takes any that is free [8790]."
)
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, help="Processes that answer, one for each core [1]."
)
@click.option("--json", "as_json", is_flag=True, help="Say where it serves as one line of JSON.")
def command(
    directory: Path | None,
    data: Path,
    metrics: Path | None,
    compact_every: float,
    seal_every: float,
    url: str | None,
    host: str,
    port: int,
    workers: int,
    as_json: bool,
) -> None:
    """Serve flags by OFREP and to Upshot's SDK, and take events by Segment's HTTP API.

    Flags are those of the store, or of files; what is edited is in force a second later. Events are on the disk before
    they are answered.

    Keys that `upshot key create` gives out open it a second later, beside those of the environment. Without keys in
    the environment, and as long as only this machine can reach it, it makes keys and prints them.
    """
    from upshot.doors.web.background import background
    from upshot.doors.web.kept import FORMAT
    from upshot.doors.web.server import listen
    from upshot.doors.web.serving import Serving, serve
    from upshot.doors.web.workers import serve_by
    from upshot.settings import read_settings

    logging.basicConfig(level=logging.INFO, format=FORMAT)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    given = read_settings(os.environ)
    settings = _with_keys(given, host)
    if settings.alerts:  # what would fail beside the server is refused before it starts
        from upshot.services.addresses import read_allowed
        from upshot.services.channels import read_channels

        read_channels(settings.alerts, settings.alert_secret, read_allowed(settings.alerts_allow))
    listening = listen(host, port)
    about: dict[str, Any] = {
        "url": f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}",
        "data": str(data.absolute()),
        **({} if given.server_key else {"server_key": settings.server_key}),
        **({} if given.client_key else {"client_key": settings.client_key}),
    }
    serving = Serving(
        data=data,
        flags=directory,
        store=url,
        settings=settings,
        compact_every=compact_every,
        metrics=metrics,
        seal_every=seal_every,
    )
    with ExitStack() as stack:

        def told(served: Mapping[str, Any]) -> None:
            about.update(served)
            click.echo(json.dumps(about) if as_json else _told(about))
            stack.enter_context(background(serving))

        serve(serving, listening, told) if workers == 1 else serve_by(workers, serving, listening, told)


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
