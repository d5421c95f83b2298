"""The filters of list requests, for Dataproc's jobs and for Compute Engine's resources."""

from __future__ import annotations

import re
from typing import Any

from localstack.gcp.api import Refusal

_TERM = re.compile(r"""\(?\s*([\w.-]+)\s*(=|!=|<=|>=|<|>|:)\s*("[^"]*"|'[^']*'|[^\s()"']+)\s*\)?(?:\s+(?:AND\s+)?|$)""")
_COMPUTE_WORDS = {"eq": "=", "ne": "!="}
_ENDED = {"CANCELLED", "DONE", "ERROR"}


def wants_job(filter_text: str, job: dict[str, Any]) -> bool:
    """True if a job matches a filter.

    Raises:
        Refusal: if Dataproc does not support the filter.
    """
    return all(_job_has(job, *term) for term in _terms(filter_text, f"Invalid filter: '{filter_text}'"))


def wants_resource(filter_text: str, resource: dict[str, Any]) -> bool:
    """True if a resource of Compute Engine matches a filter.

    Raises:
        Refusal: if the filter is invalid.
    """
    text = re.sub(r"\s(eq|ne)\s", lambda found: f" {_COMPUTE_WORDS[found[1]]} ", filter_text)
    why = f"Invalid value for field 'filter': '{filter_text}'. Invalid list filter expression."
    return all(_resource_has(resource, *term, why) for term in _terms(text, why))


def _terms(text: str, why: str) -> list[tuple[str, str, str]]:
    """Returns field, operator and value of each condition. All must hold; AND between them is optional."""
    terms, rest = [], text.strip()
    while rest:
        found = _TERM.match(rest)
        if not found:
            raise Refusal(400, why)
        terms.append((found[1], found[2], found[3].strip("\"'")))
        rest = rest[found.end() :]
    return terms


def _job_has(job: dict[str, Any], field: str, sign: str, value: str) -> bool:
    if field == "status.state" and sign == "=" and value in ("ACTIVE", "NON_ACTIVE"):
        return (job["status"]["state"] in _ENDED) == (value == "NON_ACTIVE")
    if field.startswith("labels.") and sign == "=":
        found = job.get("labels", {}).get(field.removeprefix("labels."))
        return found is not None and value in ("*", found)
    raise Refusal(400, f"Invalid filter: '{field} {sign} {value}'")


def _resource_has(resource: dict[str, Any], field: str, sign: str, value: str, why: str) -> bool:
    found: Any = resource
    for key in field.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    if sign == ":":
        return found is not None and (value == "*" or value in str(found))
    if sign not in ("=", "!="):
        raise Refusal(400, why)
    pattern = re.escape(value).replace(r"\*", ".*")
    return (found is not None and re.fullmatch(pattern, str(found)) is not None) == (sign == "=")
