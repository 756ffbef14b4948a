"""What the model's own validators say of whole rows."""

from collections.abc import Sequence
from typing import Any

import msgspec
from pydantic import ValidationError

from dedup.core.dead_letter import DeadLetter
from dedup.core.entity import Entity
from dedup.core.faults import description, invalid
from dedup.core.strict_json import read_json


def validated(entity: Entity, values: Sequence[Any]) -> tuple[Any, ...] | DeadLetter:
    """Return a row's values as the model's validators leave them, or why they refuse the row."""
    given = {
        field.name: read_json(bytes(value)) if isinstance(value, msgspec.Raw) else value
        for field, value in zip(entity.fields, values, strict=True)
    }
    try:
        row = entity.model.model_validate(given)
        left = [f.marked(None).normal(getattr(row, f.name)) for f in entity.fields]
    except ValidationError as error:
        return invalid(description(error))
    except (ValueError, ArithmeticError, TypeError, AttributeError) as error:
        return invalid(f"the model's validators left a value that has no normal form: {error}")
    if left[0] != values[0]:
        return invalid(f"{entity.id}: the model's validators changed it")
    return tuple(left)
