"""The ruleset for servers that evaluate by themselves, and the stream that tells them of a new one."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from upshot.doors.web.auth import Keys, admit
from upshot.doors.web.etag import matches, quoted
from upshot.doors.web.live import Live
from upshot.doors.web.streams import ruleset_events


class RulesetDoor:
    """What the SDK downloads; the server's key opens it."""

    def __init__(self, live: Live, keys: Keys) -> None:
        self._live, self._keys = live, keys

    def routes(self) -> list[Route]:
        """The ruleset and its stream."""
        return [
            Route("/v1/ruleset", self.ruleset, methods=["GET"]),
            Route("/v1/ruleset/stream", self.stream, methods=["GET"]),
        ]

    async def ruleset(self, request: Request) -> Response:
        """The rules of all flags, compressed where they are large; 304 where the caller has this revision."""
        admit(request, self._keys, "rules")
        served = self._live.served
        revision, body = served.published.revision, served.published.body
        plain, zipped = revision, f"{revision}-gzip"  # other bytes need another strong tag
        headers = {"ETag": quoted(plain), "Cache-Control": "private, no-cache", "Vary": "Accept-Encoding"}
        if matches(request.headers.get("if-none-match"), plain, zipped):
            return Response(status_code=304, headers=headers)
        if served.zipped is not None and _takes_gzip(request.headers.get("accept-encoding", "")):
            headers |= {"ETag": quoted(zipped), "Content-Encoding": "gzip"}
            body = served.zipped
        return Response(body, headers=headers, media_type="application/json")

    async def stream(self, request: Request) -> Response:
        """The revision in force, at once and whenever it changes."""
        admit(request, self._keys, "rules")
        return ruleset_events(request, self._live)


def _takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding header names gzip and does not refuse it with ``q=0``."""
    for part in accepted.lower().split(","):
        coding, _, quality = part.partition(";")
        if coding.strip() in ("gzip", "x-gzip"):
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
