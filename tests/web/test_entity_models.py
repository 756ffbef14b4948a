"""The names of the API follow from the entity, also where they could meet others."""

import json
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from openapi_spec_validator import validate
from pydantic import BaseModel, create_model

from dedup.core.entity import Entity, Flat
from dedup.web.entity_models import models_of
from dedup.web.entity_view import view_of
from dedup.web.models import EntityDetail, EntityLine, EntityList, Error, Figures
from dedup.web.openapi import document, document_text
from tests.core.orders import DEBEZIUM, FLAT, WRAPPED
from tests.web.orders import ORDER, READING


def entity(name: str, row_id: str, kind: Any = str) -> Entity:
    fields: dict[str, Any] = {row_id: (kind, ...), "text": (str, ...), "at": (datetime, ...)}
    model: type[BaseModel] = create_model("Row", **fields)
    return Entity(name=name, model=model, id=row_id, envelope=Flat(time="at"), metadata=("at",))


def test_a_line_bears_the_name_of_the_id_in_json_and_is_read_by_it() -> None:
    made = models_of(ORDER).of(EntityLine)
    line = made(id="AB-1", partitions=[0], row={"id": 1})
    text = '{"order_id":"AB-1","partitions":[0],"row":{"id":1}}'
    assert (made.__name__, line.model_dump_json()) == ("OrderLine", text)
    assert made.model_validate_json(text) == line
    with pytest.raises(ValueError, match="order_id"):
        made.model_validate({"order_id": 7, "partitions": [], "row": {}})


def test_a_model_in_which_nothing_is_of_the_entity_stays_as_it_is() -> None:
    assert models_of(ORDER).of(Error) is Error
    assert models_of(ORDER).of(Figures) is models_of(ORDER).of(Figures)
    assert models_of(ORDER) is models_of(ORDER)


@pytest.mark.parametrize("name", ["partition", "interval", "total", "unanswered", "known"])
@pytest.mark.parametrize("row_id", ["partition", "row", "id", "outcome", "event_id", "known"])
def test_a_name_that_a_member_has_already_is_not_taken(name: str, row_id: str) -> None:
    """The member `partitions` of the overview is a list whatever the entity is called."""
    made = models_of(entity(name, row_id))
    for model in (EntityDetail, EntityList, Figures):
        fields = made.of(model).model_fields
        names = [field.alias or name for name, field in fields.items()]
        assert len(set(names)) == len(names)


def test_no_page_takes_the_place_of_another() -> None:
    """The rows of an entity `metric` are not where Prometheus reads the metrics."""
    fixed = {"/metrics", "/api", "/check", "/event", "/dead-letters", "/livez", "/readyz"}
    for name in ("metric", "check", "event", "api", "static", "live"):
        assert view_of(entity(name, "x")).path not in fixed
    assert view_of(entity("metric", "x")).path == "/metrics-list"
    assert view_of(entity("order_item", "x")).path == "/order_items"


@pytest.mark.parametrize("described", [ORDER, READING, WRAPPED, FLAT, DEBEZIUM])
def test_the_description_of_any_entity_is_valid_and_names_it(described: Entity) -> None:
    found = document(described)
    validate(found)
    assert f"/api/{described.plural}/{{{described.id}}}" in found["paths"]
    assert "roduct" not in json.dumps(found)
    assert "{name" not in document_text(described)


def test_the_schema_of_an_id_has_its_type_and_bounds() -> None:
    def schema(of: Entity) -> Any:
        path = f"/api/{of.plural}/{{{of.id}}}"
        return document(of)["paths"][path]["get"]["parameters"][0]["schema"]

    assert schema(ORDER) == {"type": "string", "minLength": 1, "maxLength": 64}
    assert schema(READING) == {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
    assert schema(entity("thing", "x", UUID)) == {"type": "string", "format": "uuid"}
    members = document(ORDER)["components"]["schemas"]["Comparison"]["properties"]
    assert {"type": "boolean"} in members["known"]["anyOf"], "orders have a boolean"
