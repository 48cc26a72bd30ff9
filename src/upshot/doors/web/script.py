"""`/upshot.js`: flags and events for a page, one small file that the page's own server can hand out."""

import hashlib
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from upshot.doors.web.etag import matches, quoted

_FRESH = 3600  # seconds for which a browser does not ask again


def script_route() -> Route:
    """The route of the script, which is read once."""
    body = (files("upshot.doors.web") / "static" / "upshot.js").read_bytes()
    tag = hashlib.sha256(body).hexdigest()[:16]
    headers = {
        "ETag": quoted(tag),
        "Cache-Control": f"public, max-age={_FRESH}",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }

    async def script(request: Request) -> Response:
        if matches(request.headers.get("if-none-match"), tag):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type="text/javascript")

    return Route("/upshot.js", script, methods=["GET"])
