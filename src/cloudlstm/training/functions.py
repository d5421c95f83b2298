"""The network of a worker and its compiled functions, which all members of a run share."""

from __future__ import annotations

from typing import Any

from cloudlstm.config import RunConfig
from cloudlstm.training import model as models
from cloudlstm.training import own_network
from cloudlstm.training.checkpoint import Arrays, State
from cloudlstm.training.cluster import Cluster
from cloudlstm.training.forward import Forward
from cloudlstm.training.network import Network
from cloudlstm.training.own_network import OwnNetwork
from cloudlstm.training.sampling import Call
from cloudlstm.training.train_step import TrainFunction


class Functions:
    """One Keras model with its optimizer, its forward pass and its training step.

    Members differ in the values of the variables, in the seed and in the number of steps, and all of these are
    arguments or variables. So the functions are compiled once for each number of inputs.

    Args:
        cluster: The workers.
        config: The run's configuration.
        width: Inputs of a bar.
    """

    def __init__(self, cluster: Cluster, config: RunConfig, width: int) -> None:
        self.cluster, self._config = cluster, config
        self._shape = (config.dataset.window_bars, width)
        self._first_seed = config.train.all_seeds[0]
        with cluster.strategy.scope():
            self.model = self._build(self._first_seed)
            self.schedule = models.Schedule(config.train, 1)
            self.optimizer = models.build_optimizer(config.train, self.schedule, self.model.trainable_variables)
        network: Network | OwnNetwork
        if config.model.build:
            own_network.require_storable(self.model, config.model.build)
            network = OwnNetwork(self.model)
        else:
            network = Network(self.model, on_gpu=cluster.on_gpu)
        self.forward = Forward(cluster, network)
        self.step = TrainFunction(cluster, network, self.optimizer, config)
        self._weights, self._slots = self.values()
        self._compiled = False

    def _build(self, seed: int) -> Any:
        config = self._config
        return models.build_model(self._shape, config.model, seed=seed, precision=config.train.precision)

    def values(self) -> tuple[Arrays, Arrays]:
        """The present values of the network's and the optimizer's variables."""
        return (
            [variable.numpy() for variable in self.model.weights],
            [variable.numpy() for variable in self.optimizer.variables],
        )

    def assign(self, weights: Arrays, slots: Arrays | None = None) -> None:
        """Sets the network's variables, and the optimizer's if they are given."""
        for variable, value in zip(self.model.weights, weights, strict=True):
            variable.assign(value)
        if slots is not None:
            for variable, value in zip(self.optimizer.variables, slots, strict=True):
                variable.assign(value)

    def initial_state(self, seed: int) -> State:
        """The state before the first step of a training with new weights."""
        weights = self._weights if seed == self._first_seed else self._build(seed).get_weights()
        return State(list(weights), list(self._slots))

    def compile(self, call: Call) -> None:
        """Compiles the training step for calls of this shape, once."""
        if not self._compiled:
            self.step.compile(call)
            self._compiled = True


class FunctionsByWidth:
    """The functions of a worker by the number of inputs of a bar; networks of an ablation differ in it.

    Args:
        cluster: The workers.
        config: The run's configuration.
    """

    def __init__(self, cluster: Cluster, config: RunConfig) -> None:
        self.cluster, self._config = cluster, config
        self._made: dict[int, Functions] = {}

    def __getitem__(self, width: int) -> Functions:
        if width not in self._made:
            self._made[width] = Functions(self.cluster, self._config, width)
        return self._made[width]
