"""The application of the API: its routes, and its description in OpenAPI 3.1 at ``/api/openapi.json``."""

from fastapi import FastAPI
from starlette.middleware import Middleware

from upshot.doors.web.api import catalogue, documents, experiments, flags, looks, operations, people, session
from upshot.doors.web.api.bounds import Bounds
from upshot.doors.web.api.description import describe
from upshot.doors.web.api.parts import Parts
from upshot.doors.web.api.problems import answer_problems
from upshot.doors.web.faults import Faults

PLACE = "/api"
_ABOUT = (
    "Everything that a team does with Upshot. Show a key as `Authorization: Bearer KEY`, or come in by POST /session. "
    "Each mistake is answered with a sentence that names the field, its value and the mend."
)


def create_api(parts: Parts) -> FastAPI:
    """The API over its parts, to be mounted at `PLACE`."""
    api = FastAPI(
        title="Upshot",
        version="1",
        description=_ABOUT,
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=[Middleware(Faults), Middleware(Bounds)],
        servers=[{"url": PLACE}],
        root_path_in_servers=False,
    )
    api.state.parts = parts
    answer_problems(api)
    for part in (session, people, experiments, looks, documents, flags, catalogue, operations):
        api.include_router(part.router)
    describe(api)
    return api
