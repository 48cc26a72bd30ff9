"""The application of the API: its routes, and its description in OpenAPI 3.1 at ``/api/openapi.json``."""

from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware

from upshot.doors.web.api import catalogue, experiments, flags, looks, operations, people, session
from upshot.doors.web.api.bounds import Bounds
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
    for part in (session, people, experiments, looks, flags, catalogue, operations):
        api.include_router(part.router)
    _describe(api)
    return api


def _describe(api: FastAPI) -> None:
    """Leave out of the description what FastAPI would answer and this does not: 422 is a 400 here."""
    plain = api.openapi

    def described() -> dict[str, Any]:
        if api.openapi_schema is None:
            schema = plain()
            for operations_of in schema["paths"].values():
                for operation in operations_of.values():
                    operation["responses"].pop("422", None)
            for unused in ("HTTPValidationError", "ValidationError"):
                schema["components"]["schemas"].pop(unused, None)
            schema["components"]["securitySchemes"] = {
                "key": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "upshot_session"},
            }
            schema["security"] = [{"key": []}, {"session": []}]
            schema["paths"]["/session"]["post"]["security"] = []
        return api.openapi_schema or {}

    api.openapi = described  # type: ignore[method-assign]
