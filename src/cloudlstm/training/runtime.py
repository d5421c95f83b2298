"""Imports TensorFlow and Keras without their start-up messages. The other modules import both from here.

TensorFlow prints messages about the machine (no GPU found, oneDNN in use) before its log level applies. They are shown
only if the import fails.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from cloudlstm.errors import MissingExtraError

__all__ = ["keras", "tf"]


@contextmanager
def _quiet() -> Iterator[None]:
    """Captures the standard error of the process and shows it if the block raises."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as captured:
        stderr = os.dup(2)
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except BaseException:
            captured.seek(0)
            os.write(stderr, captured.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["KERAS_BACKEND"] = "tensorflow"
try:
    with _quiet():
        import keras
        import tensorflow as tf

        tf.config.list_physical_devices()
except ModuleNotFoundError as missing:
    raise MissingExtraError(
        f"training needs a package that is missing ({missing.name})", hint="pip install 'cloudlstm[train]'"
    ) from missing
