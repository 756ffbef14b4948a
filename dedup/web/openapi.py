"""The description of `/api` in OpenAPI 3.1, generated from the models that are served."""

import json
from typing import Any, Final, NamedTuple

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from dedup import __version__
from dedup.web import models

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


def _query(name: str, description: str, kind: str = "integer") -> dict[str, Any]:
    schema = {"type": kind} | ({"minimum": 0} if kind == "integer" else {})
    return {"name": name, "in": "query", "description": description, "schema": schema}


_PRODUCT_ID: Final = {
    "name": "product_id",
    "in": "path",
    "required": True,
    "schema": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
}
_LOCAL: Final = _query("local", "Answer for this worker only, without asking the others.", "string")

ENDPOINTS: Final = (
    Endpoint(
        "get",
        "/api/overview",
        "Current figures of the worker and, in `group`, of all workers of its group.",
        models.Overview,
        (_LOCAL,),
    ),
    Endpoint(
        "get",
        "/api/products",
        "The group's products ordered by product_id, 50 per page. A search examines at most 20,000 "
        "products of each worker; if `complete` is false, `next_after` continues it.",
        models.ProductList,
        (
            _query("after", "Return products after this id."),
            _query("before", "Return the 50 products before this id."),
            _query("search", "Part of the name, ignoring case, or the whole id.", "string"),
            _LOCAL,
        ),
        errors=(400, 503),
    ),
    Endpoint(
        "get",
        "/api/products/{product_id}",
        "One product, whichever worker owns it. 404 with `known` false: every worker answered and "
        "none knows it. 503 names the worker that did not answer.",
        models.ProductDetail,
        (_PRODUCT_ID, _query("brief", "Leave out the decisions.", "string"), _LOCAL),
        errors=(503,),
        also=404,
    ),
    Endpoint(
        "post",
        "/api/check",
        "The outcome that the event in the body would have. Nothing is applied.",
        models.CheckResult,
        (_query("key", "Record key; default: the product_id of the event.", "string"), _LOCAL),
        errors=(400, 413, 503),
    ),
    Endpoint(
        "get",
        "/api/dead-letters",
        "The newest dead letters, and the group's counts by reason.",
        models.DeadLetters,
        (_LOCAL,),
        errors=(503,),
    ),
    Endpoint("get", "/livez", "Whether the worker is alive.", models.Health, also=503, public=True),
    Endpoint(
        "get",
        "/readyz",
        "Whether the worker's partitions are recovered and processed.",
        models.Health,
        also=503,
        public=True,
    ),
    Endpoint(
        "get", "/version", "Versions of the worker, Python and the main packages.", models.Version
    ),
)


def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    served = {endpoint.answer for endpoint in ENDPOINTS} | {models.Error}
    ordered = sorted(served, key=lambda model: model.__name__)
    _, schemas = models_json_schema([(m, "serialization") for m in ordered], ref_template=_REF)
    paths: dict[str, Any] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(endpoint.path, {})[endpoint.method] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "product-dedup",
            "version": __version__,
            "description": "The products that the workers know, and the decisions on their events.",
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
    answers: dict[str, type[BaseModel]] = {str(status): models.Error for status in endpoint.errors}
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


def document_text() -> str:
    """Return the text of docs/openapi.json."""
    return json.dumps(document(), indent=2) + "\n"
