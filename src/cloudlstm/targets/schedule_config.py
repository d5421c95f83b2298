"""The part of a target document that tells the schedule: when a machine comes by itself, and for which models."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

_FIELD = r"[0-9*,/-]+"


class Schedule(BaseModel):
    """A schedule of daily work. Terraform makes it from its variable `schedule`; unknown keys are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    time: str = Field(pattern=rf"^{_FIELD}( {_FIELD}){{4}}$")
    """When a launcher comes, as five fields of cron: minute, hour, day of the month, month, day of the week."""
    time_zone: str = Field(pattern=r"^[A-Za-z0-9_+/-]+$")
    """The IANA time zone of `time`."""
    models: tuple[str, ...] = Field(min_length=1)
    """The models whose day is done, in this order."""
    max_usd: float | None = Field(default=None, gt=0)
    """Most that a model may spend in a month, in USD; None for no limit."""
    group: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    """The group of the launcher: of size 0, and 1 while it works."""
    job: str = Field(min_length=1)
    """Name of the schedule in the cloud: a scheduled action of the group on AWS, a job of Cloud Scheduler."""
    machine: str = Field(min_length=1)
    """Machine type of the launcher."""
    max_hours: int = Field(ge=1)
    """Longest life of a launcher in hours."""
    python: str = Field(default="", pattern=r"^(/[A-Za-z0-9._/-]+)?$")
    """Interpreter on the launcher's image that has all packages. Empty: Python and packages come from the bucket."""
    target: str = Field(pattern=r"^[a-z0-9]+://.+/target\.json$")
    """URI of this document, by which the launcher finds the target."""
