"""OFREP 0.3.0, the OpenFeature Remote Evaluation Protocol: one flag, all flags, and notices of changes."""

import hashlib
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from upshot.doors.web.answers import Context, Problem, answer, metadata_of, read_context
from upshot.doors.web.auth import Holder, Keys, admit, period
from upshot.doors.web.body import read_body
from upshot.doors.web.etag import matches, quoted
from upshot.doors.web.exposures import ExposureLog
from upshot.doors.web.live import Live
from upshot.doors.web.streams import evaluation_events
from upshot.model.access import Role

STREAM = "/ofrep/v1/stream"
_INACTIVITY = 120  # seconds after which a hidden page may let go of its stream
_STATUS = {"FLAG_NOT_FOUND": 404}
_HIDDEN: dict[Role, frozenset[str]] = {
    "server": frozenset({"attributes"}),
    "client": frozenset({"attributes", "rule"}),  # names of rules stay on the server, as rules do
}

_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="deterministic").encode


class Ofrep:
    """The protocol over the flags in force."""

    def __init__(self, live: Live, keys: Keys, flag_set: str, exposures: ExposureLog) -> None:
        self._live, self._keys, self._flag_set, self._exposures = live, keys, flag_set, exposures

    def routes(self) -> list[Route]:
        """Evaluation of one flag, whose key may have slashes, and of all; the event stream."""
        return [
            Route("/ofrep/v1/evaluate/flags", self.bulk, methods=["POST"]),
            Route("/ofrep/v1/evaluate/flags/{key:path}", self.single, methods=["POST"]),
            Route(STREAM, self.stream, methods=["GET"]),
        ]

    async def single(self, request: Request) -> Response:
        """What one flag answers to the context; where an experiment decides for a server, the unit is exposed."""
        holder = admit(request, self._keys)
        key = request.path_params["key"]
        context = read_context(await read_body(request))
        if isinstance(context, Problem):
            return _json(msgspec.structs.replace(context, key=key), 400)
        published = self._live.served.published
        common = metadata_of(context, published.revision, self._flag_set)
        evaluation = published.ruleset.evaluate(key, context, now=self._live.clock())
        found = answer(key, evaluation, common, hidden=_HIDDEN[holder.kind])
        if holder.kind == "server":  # a page asks for all flags and sends exposures of those that it uses
            self._exposures.saw(holder.source, evaluation, context)
        return _json(found, _STATUS.get(found.error_code, 400) if isinstance(found, Problem) else 200)

    async def bulk(self, request: Request) -> Response:
        """What all flags answer to the context; 304 where the caller has these answers already."""
        holder = admit(request, self._keys)
        context = read_context(await read_body(request))
        if isinstance(context, Problem):
            return _json(context, 400)
        await self._catch_up(request.query_params.get("flagConfigEtag"))
        now = self._live.clock()
        served = self._live.served
        state = served.state(now)
        tag = self._tag(state, now, holder, context)
        if matches(request.headers.get("if-none-match"), tag):
            return Response(status_code=304, headers={"ETag": quoted(tag)})
        common = metadata_of(context, served.published.revision, self._flag_set)
        ruleset, hidden = served.published.ruleset, _HIDDEN[holder.kind]
        body = {
            "flags": [
                answer(key, ruleset.evaluate(key, context, now=now), common, hidden=hidden)
                for key in ruleset.flag_keys
            ],
            "metadata": {"flagSetId": self._flag_set, "version": served.published.revision},
            "eventStreams": [self._event_stream(state, now)],
        }
        return _json(body, 200, {"ETag": quoted(tag)})

    async def stream(self, request: Request) -> Response:
        """Notices of changes, to the holder of a token that a bulk answer gave."""
        now = self._live.clock()
        opened = self._keys.opened(request.query_params.get("token", ""), now)
        if opened is None:
            raise HTTPException(401, "this address has expired: ask for all flags again to get a new one")
        seen = request.headers.get("last-event-id") or opened.seen
        return evaluation_events(request, self._live, seen, opened.until)

    def _event_stream(self, state: str, now: float) -> dict[str, Any]:
        address = f"{STREAM}?token={self._keys.token(state, now)}"
        return {"type": "sse", "endpoint": {"requestUri": address}, "inactivityDelaySec": _INACTIVITY}

    def _tag(self, state: str, now: float, holder: Holder, context: Context) -> str:
        """Names a bulk answer by all that it depends on, the period of its token included."""
        depends = (state, period(now), self._flag_set, holder.kind, context)
        return hashlib.blake2b(_encode_sorted(depends), digest_size=16).hexdigest()

    async def _catch_up(self, heard: str | None) -> None:
        """Somebody was told of a state by another process that looked at the flags earlier than this one."""
        if heard and not matches(heard, self._live.state.value):
            await self._live.refresh()


def _json(value: object, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(_encode(value), status, headers, media_type="application/json")
