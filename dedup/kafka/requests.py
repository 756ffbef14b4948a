"""Requests of Kafka in versions that aiokafka does not speak, declared by their fields.

Ignored types are aiokafka's, which ships none.
"""

from typing import Any, Final

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactString, Schema, TaggedFields

Field = tuple[str, Any]
"""The name and the type of a field."""

TEXT: Final = CompactString("utf-8")
TAGS: Final[Field] = ("tags", TaggedFields)
"""The last field of every structure in a flexible version (KIP-482)."""


def declare(
    api_key: int, version: int, request: tuple[Field, ...], response: tuple[Field, ...]
) -> type[RequestStruct]:
    """Return a request in one flexible version; the tagged fields of both ends are added."""
    common = {"API_KEY": api_key, "API_VERSION": version}
    answer = type("_Answer", (Response,), {**common, "SCHEMA": Schema(*response, TAGS)})
    asked = {"FLEXIBLE_VERSION": True, "RESPONSE_TYPE": answer, "SCHEMA": Schema(*request, TAGS)}
    return type("_Asked", (RequestStruct,), common | asked)


class OneVersion(Request[RequestStruct]):  # type: ignore[misc]
    """A request in the one version that was declared, with the values of its fields.

    Sending it raises NotImplementedError where the broker does not speak that version.
    """

    API_KEY = -1  # that of an instance is its declaration's

    def __init__(self, declared: type[RequestStruct], *values: Any) -> None:
        self.API_KEY = declared.API_KEY
        self._CLASSES = (declared,)
        self._values = values

    def build(self, declared: type[RequestStruct]) -> RequestStruct:
        """Return what is sent."""
        return declared(*self._values, {})
