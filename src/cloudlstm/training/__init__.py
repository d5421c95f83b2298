"""Training the LSTM on any number of workers, with a result that does not depend on how many.

Importing this room loads TensorFlow. What TensorFlow prints about the machine before its own log level counts (no GPU
found, oneDNN in use) is kept back, and shown only if the import fails.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


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
with _quiet():
    import keras  # noqa: F401
    import tensorflow as tf

    tf.config.list_physical_devices()
