"""neuralforecast: its LSTM with one layer of 128 units, 50 bars of 8 columns, 256 windows a step, Adam.

It cuts its own windows from the series and has a decoder of its own, so its losses cannot equal those of the others.
Checked is that the sizes are these and that the loss is a number. A step takes long, because each one cuts all windows
of all series, so 20 steps are timed, after five others, and the seconds are those of as many steps as the others train.
"""

from __future__ import annotations

import logging
import warnings

import numpy as np
import pandas as pd
import torch
from contender import Clock, Done, Task, main
from neuralforecast import NeuralForecast
from neuralforecast.losses.pytorch import MSE
from neuralforecast.models import LSTM
from pytorch_lightning import Callback

BATCH = 256
WARM_STEPS = 5
TIMED_STEPS = 20
TARGET = "daily_return"


class Steps(Callback):
    """Measures the steps after the first ones."""

    def __init__(self) -> None:
        self.clock, self.losses = Clock(), []

    def __deepcopy__(self, memo: object) -> Steps:  # NeuralForecast copies its models, with their callbacks
        return self

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        self.losses.append(outputs["loss"].detach())
        if len(self.losses) == WARM_STEPS:
            self.clock.__enter__()

    def on_train_end(self, trainer, module) -> None:
        self.clock.__exit__()


def work(task: Task) -> Done:
    """Trains and times a few steps."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    torch.set_num_threads(task.threads)
    all_steps = len(np.load(task.input / "labels.npy", mmap_mode="r")) // BATCH
    steps = min(TIMED_STEPS, all_steps)
    series = pd.read_parquet(task.input / "series.parquet").dropna()
    series = series.rename(columns={"ticker": "unique_id", "date": "ds", TARGET: "y"})
    series["ds"] = series.groupby("unique_id").cumcount()  # bars are numbered: the library expects a regular grid
    others = [name for name in series.columns if name not in ("unique_id", "ds", "y")]
    measured = Steps()
    network = LSTM(
        h=1, input_size=50, encoder_n_layers=1, encoder_hidden_size=128, decoder_layers=1, hist_exog_list=others,
        loss=MSE(), max_steps=WARM_STEPS + steps, batch_size=series.unique_id.nunique(), windows_batch_size=BATCH,
        learning_rate=1e-3, scaler_type="standard", callbacks=[measured], accelerator="cpu", logger=False,
        enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
    )  # fmt: skip
    NeuralForecast([network], freq=1).fit(series, val_size=0)
    losses = torch.stack(measured.losses).numpy()
    sizes = {name: list(value.shape) for name, value in network.hist_encoder.named_parameters()}
    if not np.isfinite(losses).all() or sizes["weight_ih_l0"] != [512, 8] or len(losses) != WARM_STEPS + steps:
        raise ValueError(f"not the training that was asked for: {sizes}, {len(losses)} steps, loss {losses[-1]}")
    clock, share = measured.clock, all_steps / steps
    parameters = sum(value.numel() for value in network.parameters())
    return Done(clock.seconds * share, clock.cpu_s and clock.cpu_s * share, {"steps": steps, "parameters": parameters})


if __name__ == "__main__":
    main(work, "neuralforecast", "torch", "pytorch-lightning")
