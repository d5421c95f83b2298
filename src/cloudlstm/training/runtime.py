"""TensorFlow and Keras, loaded quietly. The only place that imports them, so that the rest of the room can do without.

What TensorFlow prints about the machine before its own log level counts (no GPU found, oneDNN in use) is kept back, and
shown only if the import fails.
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
    """Keeps the process's standard error back; what was kept is shown when the block raises."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as kept:
        shown = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            kept.seek(0)
            os.write(shown, kept.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(shown, 2)
            os.close(shown)


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
