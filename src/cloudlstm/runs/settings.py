"""The settings of a run: config.json of the run, and a copy for each attempt, whose NON_IDENTITY settings may differ.

A job reads the settings of its attempt.
"""

from __future__ import annotations

from typing import Any

from cloudlstm import storage
from cloudlstm.config import RunConfig, parse
from cloudlstm.config.overrides import flat
from cloudlstm.errors import ConfigError, ObjectExistsError, ObjectNotFoundError, UsageError
from cloudlstm.runs.paths import RunPaths

_SHOWN = 3
"""Most differing settings that a message names."""
_LONGEST = 40
"""Most characters of a value in a message."""


def read(paths: RunPaths, attempt: int) -> RunConfig:
    """Reads the settings of an attempt; those of the run if `attempt` is 0 or an older release opened it.

    Raises:
        ObjectNotFoundError: The run has no settings.
        ConfigError: This release cannot read them.
    """
    return _parsed(*_stored(paths, attempt))


def document(paths: RunPaths, attempt: int) -> dict[str, Any]:
    """The same as plain JSON without validation; empty if there are no settings."""
    try:
        found = _stored(paths, attempt)[1]
    except ObjectNotFoundError:
        return {}
    return found if isinstance(found, dict) else {}


def create(paths: RunPaths, attempt: int, settings: dict[str, Any]) -> None:
    """Writes the settings of a run and of an attempt, which the caller holds. Existing objects are kept.

    Raises:
        UsageError: The existing settings differ.
    """
    for uri in (paths.config, paths.settings(attempt)):
        try:
            storage.write_json(uri, settings, if_absent=True)
        except ObjectExistsError:
            require_same(paths, uri, storage.read_json(uri), settings)


def require_same(paths: RunPaths, uri: str, found: Any, settings: dict[str, Any]) -> None:
    """Raises UsageError if the JSON document `found`, read from `uri`, has the settings of another run."""
    old, new = _parsed(uri, found).identity(), parse(settings).identity()
    if old == new:
        return
    before, after = flat(old), flat(new)
    keys = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    shown = [f"{key} {_short(before.get(key))} -> {_short(after.get(key))}" for key in keys[:_SHOWN]]
    more = f", and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    raise UsageError(
        f"run {paths.run_id} has other settings: {', '.join(shown)}{more}",
        hint=f"another --run, or cloudlstm delete {paths.uri}",
    )


def _stored(paths: RunPaths, attempt: int) -> tuple[str, Any]:
    """The URI and the JSON document of the settings."""
    if attempt:
        uri = paths.settings(attempt)
        try:
            return uri, storage.read_json(uri)
        except ObjectNotFoundError:
            pass
    return paths.config, storage.read_json(paths.config)


def _parsed(uri: str, found: Any) -> RunConfig:
    try:
        if not isinstance(found, dict):
            raise ConfigError("it is not a JSON object")
        return parse(found)
    except ConfigError as error:
        raise ConfigError(
            f"{uri} holds no settings that this release can read: {error.message}",
            hint="the release that wrote it, or another --run",
        ) from None


def _short(value: Any) -> str:
    text = "none" if value is None else ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
