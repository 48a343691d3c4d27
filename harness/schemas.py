"""JSON Schemas of the files that the harness leaves, made from the models that write them."""

import json
from enum import StrEnum
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from harness.dependency_update.update import UPDATE_VERSION, Update
from harness.gate import RESULT_VERSION
from harness.record import SCHEMA_VERSION, Record
from harness.reports import WrittenResult
from harness.strict_json import NON_FINITE


class Document(StrEnum):
    """A kind of file with a schema."""

    RESULT = "result"
    RECORD = "record"
    UPDATE = "update"

    @property
    def version(self) -> int:
        """The version that is written now."""
        return {
            Document.RESULT: RESULT_VERSION,
            Document.RECORD: SCHEMA_VERSION,
            Document.UPDATE: UPDATE_VERSION,
        }[self]

    @property
    def file_name(self) -> str:
        """Of its schema, below docs/schemas."""
        return f"{self}-{self.version}.schema.json"


class _Figures(GenerateJsonSchema):
    """Says of each float what the file may hold in its place."""

    def float_schema(self, schema: core_schema.FloatSchema) -> JsonSchemaValue:
        return {"anyOf": [super().float_schema(schema), {"enum": list(NON_FINITE)}]}


_MODELS: dict[Document, type[BaseModel]] = {
    Document.RESULT: WrittenResult,
    Document.RECORD: Record,
    Document.UPDATE: Update,
}


def schema(document: Document) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a kind of file."""
    made = _MODELS[document].model_json_schema(mode="serialization", schema_generator=_Figures)
    return {
        "$schema": _Figures.schema_dialect,
        "$id": f"urn:gemma-lora-gate:{document}:{document.version}",
        **made,
        "title": f"gemma-lora-gate {document}, version {document.version}",
    }


def as_text(document: Document) -> str:
    """Return the schema as its file holds it."""
    return json.dumps(schema(document), indent=2, ensure_ascii=False) + "\n"
