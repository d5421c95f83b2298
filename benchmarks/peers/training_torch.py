"""PyTorch: nn.LSTM and a linear layer with Adam.

processes=1    with more than one, DistributedDataParallel over gloo, a part of each batch and of the cores each
threads=1      fewer threads than cores
"""

from __future__ import annotations

import json
import os

import numpy as np
import torch
import torch.distributed as dist
from contender import Clock, Done, Task, main
from torch import nn

BATCH = 256
WARM_STEPS = 5


class Network(nn.Module):
    """LSTM(128) over the window, then one output of its last state."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 128, batch_first=True)
        self.output = nn.Linear(128, 1)
        values = {  # gates are in the same order as in Keras: input, forget, cell, output
            self.lstm.weight_ih_l0: weights["kernel"].T,
            self.lstm.weight_hh_l0: weights["recurrent"].T,
            self.lstm.bias_ih_l0: weights["bias"],
            self.lstm.bias_hh_l0: np.zeros_like(weights["bias"]),  # Keras has one bias, so the second one stays 0
            self.output.weight: weights["output_kernel"].T,
            self.output.bias: weights["output_bias"],
        }
        with torch.no_grad():
            for parameter, value in values.items():
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(value)))
        self.lstm.bias_hh_l0.requires_grad_(requires_grad=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(window, bar, feature) to (window,)."""
        states, _ = self.lstm(inputs)
        return self.output(states[:, -1])[:, 0]


def train(task: Task, rank: int = 0, processes: int = 1) -> Done:
    """Trains all steps; the first steps are repeated before, on a copy, as a warm-up."""
    torch.set_num_threads(int(task.settings.get("threads", max(task.threads // processes, 1))))
    inputs = torch.from_numpy(np.load(task.input / "inputs.npy", mmap_mode="c"))
    labels = torch.from_numpy(np.load(task.input / "labels.npy"))
    weights = dict(np.load(task.input / "weights.npz"))
    size = BATCH // processes

    def steps(model: nn.Module, count: int) -> list[float]:
        adam = torch.optim.Adam([each for each in model.parameters() if each.requires_grad], lr=1e-3, eps=1e-7)
        losses = []
        for step in range(count):
            first = step * BATCH + rank * size
            adam.zero_grad(set_to_none=True)
            loss = nn.functional.mse_loss(model(inputs[first : first + size]), labels[first : first + size])
            loss.backward()
            adam.step()
            losses.append(loss.detach())
        return losses

    def network() -> nn.Module:
        model = Network(weights)
        return nn.parallel.DistributedDataParallel(model) if processes > 1 else model

    steps(network(), WARM_STEPS)
    model = network()
    if processes > 1:
        dist.barrier()
    with Clock() as clock:
        losses = torch.stack(steps(model, len(labels) // BATCH))
        if processes > 1:
            dist.all_reduce(losses)
    np.save(task.output / f"losses-{rank}.npy", (losses / processes).numpy())
    return clock.done()


def process(rank: int, task: Task, processes: int) -> None:
    """One of several processes, which meet through a file and the loopback interface."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    meeting = (task.output / "meeting").as_uri()
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=processes)
    done = train(task, rank, processes)
    (task.output / f"done-{rank}.json").write_text(json.dumps([done.seconds, done.cpu_s]))
    dist.destroy_process_group()


def work(task: Task) -> Done:
    """Trains in one process, or in several."""
    processes = int(task.settings.get("processes", 1))
    if processes == 1:
        done = train(task)
    else:
        torch.multiprocessing.spawn(process, (task, processes), nprocs=processes)
        each = [json.loads((task.output / f"done-{rank}.json").read_text()) for rank in range(processes)]
        done = Done(max(seconds for seconds, _ in each), sum(cpu_s or 0.0 for _, cpu_s in each) or None)
    (task.output / "losses-0.npy").rename(task.output / "losses.npy")
    return done


if __name__ == "__main__":
    main(work, "torch", "numpy")
