"""The description of `/api` in OpenAPI 3.1, generated from the models that are served."""

import json
from functools import lru_cache
from typing import Any, Final, NamedTuple, get_args

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from dedup import __version__
from dedup.core.entity import Entity
from dedup.core.window import Strategy, WindowKind
from dedup.entities.product import PRODUCT
from dedup.web.dead_letter_models import DeadLetters
from dedup.web.entity_models import EntityModels, models_of
from dedup.web.entity_view import EntityView, view_of
from dedup.web.event_models import EventDescription
from dedup.web.models import (
    CheckResult,
    EntityDetail,
    EntityList,
    Error,
    Health,
    Overview,
    Version,
)

_REF: Final = "#/components/schemas/{model}"


class Endpoint(NamedTuple):
    """An endpoint that returns JSON."""

    method: str
    path: str
    summary: str
    answer: type[BaseModel]
    parameters: tuple[dict[str, Any], ...] = ()
    errors: tuple[int, ...] = ()
    """Status codes that come with an `Error`."""

    also: int | None = None
    """A second status code that comes with `answer`."""

    public: bool = False
    """Whether it needs no token."""


def _query(name: str, description: str, **schema: Any) -> dict[str, Any]:
    schema = schema or {"type": "string"}
    return {"name": name, "in": "query", "description": description, "schema": schema}


_LOCAL: Final = _query("local", "Answer for this worker only, without asking the others.")

_OTHER_RULES: Final = (
    _query(
        "strategy",
        "Decide by this strategy; default: the worker's own. Of earlier events it knows the last "
        "row alone, and `why` says so.",
        type="string",
        enum=list(get_args(Strategy)),
    ),
    _query(
        "window",
        "Its window, such as `10m`; default: the worker's own, if the strategy is the worker's.",
    ),
    _query("window_kind", "Its kind of window.", type="string", enum=list(get_args(WindowKind))),
)

_OTHERS: Final = (
    Endpoint(
        "get",
        "/api/event",
        "What an event is: its JSON Schema, an example, and the columns of the row.",
        EventDescription,
    ),
    Endpoint(
        "get",
        "/api/dead-letters",
        "The newest dead letters, and the group's counts by reason.",
        DeadLetters,
        (_LOCAL,),
        errors=(503,),
    ),
    Endpoint("get", "/livez", "Whether the worker is alive.", Health, also=503, public=True),
    Endpoint(
        "get",
        "/readyz",
        "Whether the worker's partitions are recovered and processed.",
        Health,
        also=503,
        public=True,
    ),
    Endpoint("get", "/version", "Versions of the worker, Python and the main packages.", Version),
)


def endpoints(models: EntityModels) -> tuple[Endpoint, ...]:
    """Return the endpoints of an entity."""
    of, fill = models.of, models.wording.fill
    return (
        Endpoint(
            "get",
            "/api/overview",
            "Current figures of the worker and, in `group`, of all workers of its group.",
            of(Overview),
            (_LOCAL,),
        ),
        *_of_rows(models, view_of(models.entity)),
        Endpoint(
            "post",
            "/api/check",
            "The outcome that the event in the body would have. Nothing is applied.",
            of(CheckResult),
            (
                _query("key", fill("Record key; default: the {id} of the event.")),
                *_OTHER_RULES,
                _LOCAL,
            ),
            errors=(400, 413, 503),
        ),
        *_OTHERS,
    )


def _of_rows(models: EntityModels, view: EntityView) -> tuple[Endpoint, Endpoint]:
    """Return the endpoints of the list and of one row."""
    fill = models.wording.fill
    cursor: dict[str, Any] = {"type": "integer" if view.ids.is_integer else "string"}
    if view.ids.first == 0:
        cursor["minimum"] = 0
    return (
        Endpoint(
            "get",
            f"/api{view.path}",
            fill(
                "The group's {names} ordered by {id}, 50 per page. A search examines at most "
                "20,000 {names} of each worker; if `complete` is false, `next_after` continues it."
            ),
            models.of(EntityList),
            (
                _query("after", fill("Return {names} after this id."), **cursor),
                _query("before", fill("Return the 50 {names} before this id."), **cursor),
                _query("search", view.search_description),
                _LOCAL,
            ),
            errors=(400, 503),
        ),
        Endpoint(
            "get",
            f"/api{view.path}/{{{view.id}}}",
            fill(
                "One {name}, whichever worker owns it. 404 with `known` false: every worker "
                "answered and none knows it. 503 names the worker that did not answer."
            ),
            models.of(EntityDetail),
            (_path_parameter(view), _query("brief", "Leave out the decisions."), _LOCAL),
            errors=(503,),
            also=404,
        ),
    )


def _path_parameter(view: EntityView) -> dict[str, Any]:
    parameter = {"name": view.id, "in": "path", "required": True, "schema": view.ids.schema}
    if not view.ids.is_integer:
        parameter["description"] = (
            r"Percent-encoded. Write `/` as `~2F`, `\` as `~5C`, `~` as `~7E` and a `.` at the "
            "beginning as `~2E`: clients and proxies may change what these mean in a path."
        )
    return parameter


@lru_cache
def document(entity: Entity = PRODUCT) -> dict[str, Any]:
    """Return the OpenAPI document of an entity."""
    models = models_of(entity)
    described = endpoints(models)
    served = {endpoint.answer for endpoint in described} | {Error}
    ordered = sorted(served, key=lambda model: model.__name__)
    _, schemas = models_json_schema([(m, "serialization") for m in ordered], ref_template=_REF)
    paths: dict[str, Any] = {}
    for endpoint in described:
        paths.setdefault(endpoint.path, {})[endpoint.method] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": view_of(entity).brand,
            "version": __version__,
            "description": models.wording.fill(
                "The {names} that the workers know, and the decisions on their events."
            ),
        },
        "servers": [{"url": ".."}],  # relative to this document, so below a proxy's path too
        "security": [{}, {"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The value of DEDUP_WEB_TOKEN, if it is set.",
                }
            },
        },
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    answers: dict[str, type[BaseModel]] = {str(status): Error for status in endpoint.errors}
    answers |= {str(status): endpoint.answer for status in (200, endpoint.also) if status}
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "parameters": list(endpoint.parameters),
        "responses": {status: _response(model) for status, model in sorted(answers.items())},
    }
    if endpoint.public:
        operation["security"] = []
    if endpoint.method == "post":
        event = {"description": "An event in the format of the source topic.", "type": "object"}
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": event}},
        }
    return operation


def _response(model: type[BaseModel]) -> dict[str, Any]:
    schema = {"$ref": _REF.format(model=model.__name__)}
    return {
        "description": (model.__doc__ or "").strip(),
        "content": {"application/json": {"schema": schema}},
    }


def document_text(entity: Entity = PRODUCT) -> str:
    """Return the text of the document; that of products is docs/openapi.json."""
    return json.dumps(document(entity), indent=2) + "\n"
