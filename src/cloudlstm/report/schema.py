"""Reads and writes report.json, and prints its JSON schema: `python -m cloudlstm.report.schema`."""

from __future__ import annotations

import json
import sys
from typing import Any

from pydantic import BaseModel, ValidationError

from cloudlstm import storage
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError
from cloudlstm.report.models import SCHEMA_VERSION, Report, ReportSummary
from cloudlstm.runs.paths import RunPaths


def to_json(report: Report) -> bytes:
    """The bytes of report.json, with sorted keys."""
    document = report.model_dump(mode="json")
    text = json.dumps(document, indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    return (text + "\n").encode()


def read_summary(paths: RunPaths) -> ReportSummary | None:
    """Returns the main results of a run's report; None if there is no report or it cannot be read."""
    try:
        return ReportSummary.model_validate(storage.read_json(paths.report("report.json")))
    except (ObjectNotFoundError, CorruptObjectError, ValidationError):
        return None


def json_schema() -> dict[str, Any]:
    """The JSON schema of report.json, generated from the models."""
    return schema_of(Report, "report", SCHEMA_VERSION)


def schema_of(model: type[BaseModel], name: str, version: int) -> dict[str, Any]:
    """The JSON schema of a document that is written from a model.

    Args:
        model: The model of the whole document.
        name: What the document is, in one word.
        version: The version of its schema.
    """
    schema: dict[str, Any] = _without_titles(model.model_json_schema(mode="serialization"), names=False)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:cloudlstm:{name}:{version}",
        "title": f"cloudlstm {name}",
    } | schema


def print_schema(schema: dict[str, Any]) -> None:
    """Prints a JSON schema."""
    sys.stdout.write(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")


def _without_titles(value: Any, *, names: bool) -> Any:
    """The schema without the titles that pydantic derives from names; `names`: the keys are names, not keywords."""
    if isinstance(value, list):
        return [_without_titles(each, names=False) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _without_titles(each, names=not names and key in ("properties", "$defs"))
        for key, each in value.items()
        if names or key != "title"
    }


if __name__ == "__main__":
    print_schema(json_schema())
