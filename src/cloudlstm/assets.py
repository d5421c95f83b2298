"""Files that travel with the package: job scripts and example configurations."""

from __future__ import annotations

from pathlib import Path

from cloudlstm.errors import MachineError

_PACKAGE = Path(__file__).resolve().parent


def asset(kind: str, name: str = "") -> Path:
    """The path of an asset: from the wheel, or from the checkout that an editable install points to."""
    for base in (_PACKAGE / "_assets", _PACKAGE.parents[1]):
        path = base / kind / name
        if path.exists():
            return path
    raise MachineError(f"this installation lacks {kind}/{name}", hint="install cloudlstm again")
