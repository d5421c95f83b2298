"""Whether a folder may be taken as the folder of a run: looked at before anything in it is written."""

from __future__ import annotations

from typing import Any

from cloudlstm import attempts, storage
from cloudlstm.errors import CorruptObjectError, ObjectNotFoundError, UsageError
from cloudlstm.layout import RunLayout
from cloudlstm.runs.settings import require_same


def has_attempt(layout: RunLayout) -> bool:
    """Whether the folder is that of a run: somebody has submitted it."""
    return attempts.latest_attempt(layout) > 0


def require_own(layout: RunLayout, settings: dict[str, Any]) -> None:
    """Raises UsageError unless the folder is empty, or that of a run whose settings name the same run as `settings`."""
    if not has_attempt(layout):
        for item in storage.list_objects(f"{layout.uri}/"):
            raise UsageError(
                f"{layout.uri} is not the folder of a run and holds other files, such as {_below(layout, item.uri)}",
                hint="another --run, or another --root",
            )
        return
    try:
        found = storage.read_json(layout.config)
    except ObjectNotFoundError:
        return  # the launcher was killed before it wrote them
    except CorruptObjectError as error:
        raise UsageError(error.message, hint="another --run") from None
    require_same(layout, layout.config, found, settings)


def _below(layout: RunLayout, uri: str) -> str:
    return uri.removeprefix(f"{layout.uri}/")
