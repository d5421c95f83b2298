"""Headlines scored by FinBERT, a BERT that was trained on financial news, in a Python environment of its own.

    python -m venv finbert-env
    finbert-env/bin/pip install -r finbert.txt
    export FINBERT_PYTHON=$PWD/finbert-env/bin/python
    cloudlstm submit … exogenous.news.scorer=finbert:scorer        # in the folder of this file

transformers and torch need versions of packages that cloudlstm does not have, and take seconds to import. So this
module runs a second time, as a program, in that environment: `Finbert` starts it, sends it headlines, one line of JSON
for each call, and gets their scores back in the same way. On a cluster, each machine needs the environment at the place
that FINBERT_PYTHON names.

The score is P(positive) - P(negative), rounded to four decimals, since a network gives a text slightly other numbers in
another batch. The model is downloaded once, at the revision below. For another one, or for a folder, which gets a name
of yours for its revision, change one line:

    scorer = Finbert(model="/models/finbert", revision="2026-03")
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

MODEL = "ProsusAI/finbert"
REVISION = "4556d13015211d73dccd3fdd39d39232506f3e43"
"""A commit of the model's repository: another one would be another version of the scorer."""

DECIMALS = 4


class Finbert:
    """A scorer of cloudlstm.

    Args:
        model: Name of a model with the labels positive and negative, or a local folder.
        revision: Commit of its repository.
        batch_size: Headlines that the network gets at once.
        python: The Python with torch and transformers; None: that of $FINBERT_PYTHON.
    """

    name = "finbert"

    def __init__(
        self, model: str = MODEL, revision: str = REVISION, batch_size: int = 32, python: str | None = None
    ) -> None:
        self._words = [model, revision, str(batch_size)]
        self._python = python
        self._program: subprocess.Popen[str] | None = None
        self.version = f"{model}@{revision}"

    def score(self, headlines: pa.StringArray) -> NDArray[np.float32]:
        """Returns the score of each headline (n,), from -1 to 1."""
        import numpy as np

        if self._program is None:
            self._program = self._start()
        pipes = self._program.stdin, self._program.stdout
        assert pipes[0]
        assert pipes[1]
        try:
            pipes[0].write(json.dumps(headlines.to_pylist()) + "\n")
            pipes[0].flush()
            answer = pipes[1].readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            status = self._program.wait()
            self.close()
            raise RuntimeError(f"FinBERT's program ended with status {status}; its output says why")
        return np.array(json.loads(answer), np.float32)

    def close(self) -> None:
        """Ends the program. It also ends with this process."""
        program, self._program = self._program, None
        if program is not None:
            with suppress(BrokenPipeError):
                program.communicate()

    def _start(self) -> subprocess.Popen[str]:
        python = self._python or os.environ.get("FINBERT_PYTHON")
        if not python:
            raise RuntimeError("FINBERT_PYTHON is not set: it names a Python with the packages of finbert.txt")
        foreign = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
        command = [python, os.path.abspath(__file__), *self._words]  # noqa: PTH100
        return subprocess.Popen(command, env=foreign, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


scorer = Finbert()


def load(model: str, revision: str) -> tuple[Any, int]:
    """Returns the pipeline of a model, and the most tokens that it can read."""
    import torch
    from transformers import pipeline

    device = 0 if torch.cuda.is_available() else -1
    classify = pipeline("text-classification", model=model, revision=revision, device=device)
    labels = {label.lower() for label in classify.model.config.id2label.values()}
    if not {"positive", "negative"} <= labels:
        sys.exit(f"{model} has the labels {', '.join(sorted(labels))}, and positive and negative are needed")
    return classify, int(classify.model.config.max_position_embeddings)


def scores(classify: Any, most_tokens: int, headlines: list[str], batch_size: int) -> list[float]:
    """Returns P(positive) - P(negative) of each headline. Batches are made by length, so that little is padded."""
    order = sorted(range(len(headlines)), key=lambda place: -len(headlines[place]))
    texts = [headlines[place] for place in order]
    if not texts:
        return []
    answers = classify(texts, batch_size=batch_size, top_k=None, truncation=True, max_length=most_tokens)
    found = [0.0] * len(headlines)
    for place, answer in zip(order, answers, strict=True):
        by_label = {each["label"].lower(): each["score"] for each in answer}
        found[place] = round(by_label["positive"] - by_label["negative"], DECIMALS)
    return found


def main(model: str, revision: str, batch_size: str) -> None:
    """The program: a line of JSON with headlines in, a line of JSON with their scores out, until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not stand between the answers
    classify, most_tokens = load(model, revision)
    for line in sys.stdin:
        headlines = json.loads(line)
        print(json.dumps(scores(classify, most_tokens, headlines, int(batch_size))), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
