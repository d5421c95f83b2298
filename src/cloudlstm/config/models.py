"""The configuration of a run: model, training and machines here; the rest in data.py and evaluation.py."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from cloudlstm.config.data import CORE_SIX, CleanConfig, DatasetConfig, MarketConfig, Section, UniverseConfig
from cloudlstm.config.evaluation import EvaluationConfig
from cloudlstm.config.exogenous import ExogenousConfig, FeaturesConfig, require_object_name
from cloudlstm.config.naming import default_name

MOST_SEEDS = 64
"""Most networks of one run that differ by their seeds."""

NAME_PATTERN = r"^[a-z][a-z0-9-]{0,40}$"
"""What the name of a run may be."""


class ModelConfig(Section):
    """The network: LSTM, Dropout, Dense(1)."""

    units: int = Field(default=128, ge=1, le=8192)
    """LSTM units."""
    dropout: float = Field(default=0.2, ge=0.0, lt=1.0)
    """Share of the LSTM's outputs that are set to zero in training."""
    build: str | None = None
    """A function of the user's as `package.module:build`, which makes the Keras model; see docs/extending.md."""

    @field_validator("build")
    @classmethod
    def _is_object(cls, value: str | None) -> str | None:
        return None if value is None else require_object_name(value)


class TrainConfig(Section):
    """How the network is trained."""

    seed: int = Field(default=1, ge=0, lt=2**31)
    """Seeds the initial weights, the order of samples and the dropout masks."""
    seeds: int | tuple[int, ...] = 1
    """Networks that are trained with different seeds: their number, with the seeds `seed`, `seed` + 1, …, or a list of
    seeds. With more than one the report shows the mean and spread of every figure, and the mean forecast as its own
    row, the ensemble."""
    workers: int | None = Field(default=None, ge=1, le=256)
    """Processes that train together; by default 1 on this machine and 2 on a target. Each uses up to 4 of its cores."""
    open_ports: bool = False
    """Lets several workers on this machine listen where other users and machines can connect; see SECURITY.md."""
    epochs: int = Field(default=30, ge=0, le=10_000)
    """Most passes over the training windows; 0 only predicts."""
    max_steps: int | None = Field(default=None, ge=1)
    """Training stops after this many steps, if set."""
    batch_windows: int = Field(default=256, ge=1, le=1_048_576)
    """Windows in one global batch, divided among all workers."""
    learning_rate: float = Field(default=1e-3, gt=0.0, le=1.0)
    """Adam's peak learning rate."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """How the learning rate changes over the epochs."""
    warmup_steps: int = Field(default=50, ge=0)
    """Steps over which the learning rate rises from zero."""
    patience_epochs: int = Field(default=6, ge=1)
    """Training stops when the validation loss has not improved for this many epochs; the best weights are kept."""
    steps_per_call: int = Field(default=16, ge=1, le=1024)
    """Steps in one call of the compiled training function; progress and checkpoints are written between calls."""
    inputs: Literal["relative", "levels"] = "relative"
    """`relative`: each window relative to its last bar; `levels`: z-scores by training statistics, for comparison."""
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """Numeric precision of the network's layers; the output stays float32."""
    checkpoint_every_s: float = Field(default=30.0, ge=0.0)
    """Seconds between checkpoints inside an epoch; each epoch also ends with one."""
    collective_timeout_s: float = Field(default=60.0, gt=0.0)
    """Shortest time that a worker waits for its peers; it waits longer if steps or validations take long."""
    max_restarts: int = Field(default=3, ge=0)
    """Most restarts of lost workers in a row without progress; 0: none."""
    cache_dir: str | None = None
    """Folder for local copies of shards; by default in the user's cache."""
    weights: str | None = None
    """URI of another run whose trained weights this run starts from: those of the same seed there, else of its first
    seed."""

    @property
    def all_seeds(self) -> tuple[int, ...]:
        """The seed of every network, the one of the row `lstm` first."""
        return self.seeds if isinstance(self.seeds, tuple) else tuple(range(self.seed, self.seed + self.seeds))

    @model_validator(mode="after")
    def _seeds_in_range(self) -> Self:
        if max(self.all_seeds) >= 2**31:
            raise ValueError(f"the last seed would be {max(self.all_seeds)}, and seeds are below {2**31}")
        return self

    @field_validator("seeds", mode="before")
    @classmethod
    def _are_seeds(cls, value: object) -> object:
        """Accepts `train.seeds=3,4` without brackets."""
        if isinstance(value, str) and all(part.strip().isdecimal() for part in value.split(",")):
            value = [int(part) for part in value.split(",")]
        several = value if isinstance(value, list | tuple) else ()
        whole = all(type(each) is int and 0 <= each < 2**31 for each in several)
        number = type(value) is int and 1 <= value <= MOST_SEEDS
        if not (number or (several and whole and len(set(several)) == len(several) <= MOST_SEEDS)):
            raise ValueError(f"must be a number of networks up to {MOST_SEEDS}, or a list of different seeds")
        return value


class PrepareConfig(Section):
    """What runs the data steps; the results do not depend on it."""

    engine: Literal["spark", "local"] = "spark"
    """`spark`: a Spark application; `local`: processes of this machine, which need no Java."""
    processes: int | None = Field(default=None, ge=1, le=1024)
    """Processes of the engine `local`; by default one a core."""
    reuse: str | None = None
    """URI of another run: its finished steps with the same inputs are copied instead of computed again."""


class SparkConfig(Section):
    """How Spark runs the preparation."""

    master: str | None = None
    """Spark master URL; by default all cores of this machine, or the master of the cluster. A file may name only this
    machine (`local[4]`): the driver unpickles data from the executors, so another master must be typed."""
    driver_memory_mib: int = Field(default=1024, ge=512)
    """Heap of the driver's Java process."""
    max_hours: float | None = Field(default=None, gt=0.0)
    """Hours after which the preparation ends in any case, even if it hangs; by default 6 on a target, and no limit on
    this machine."""


class TrainersConfig(Section):
    """How the trainer machines of a cloud target are used."""

    fill_timeout_s: float = Field(default=1800.0, gt=0.0)
    """Seconds in which all machines must start and join, also when one is replaced; else training fails."""
    max_hours: float | None = Field(default=None, gt=0.0)
    """Hours after which the machines shut down in any case; by default, and at most, the limit of the target."""
    max_usd: float | None = Field(default=None, gt=0.0)
    """Most that the trainers of this run may cost in USD, over all its submits: before that they save a checkpoint and
    end. Counted with the on-demand price of the dearest machine type of the target."""
    usd_per_hour: float | None = Field(default=None, gt=0.0)
    """Price of one trainer an hour in USD, instead of the list price: for another region, a discount, spot machines."""


NON_IDENTITY: dict[str, Any] = {
    "market": {"yahoo"},
    "prepare": True,
    "train": {"cache_dir", "checkpoint_every_s", "collective_timeout_s", "max_restarts", "open_ports"},
    "spark": {"driver_memory_mib", "max_hours"},
    "trainers": True,
}
"""Settings that are not part of a run's identity, such as rates and timeouts: a failed run may change them."""


class RunConfig(Section):
    """The whole configuration of a run. Equal configurations give the same run id."""

    name: str = Field(default="core6", pattern=NAME_PATTERN)
    """Name of the run. The run id is this name and a hash of the configuration. Not set: `core6` for the six default
    tickers, else after the tickers, the file of tickers or the file of bars."""
    universe: UniverseConfig = UniverseConfig()
    market: MarketConfig = MarketConfig()
    clean: CleanConfig = CleanConfig()
    features: FeaturesConfig = FeaturesConfig()
    exogenous: ExogenousConfig = ExogenousConfig()
    dataset: DatasetConfig = DatasetConfig()
    model: ModelConfig = ModelConfig()
    train: TrainConfig = TrainConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    prepare: PrepareConfig = PrepareConfig()
    spark: SparkConfig = SparkConfig()
    trainers: TrainersConfig = TrainersConfig()

    @model_validator(mode="after")
    def _core_six(self) -> Self:
        if self.market.source == "yahoo" and not self.universe.tickers and not self.universe.path:
            # Written out for config.json.
            object.__setattr__(self, "universe", self.universe.model_copy(update={"tickers": CORE_SIX}))
        return self

    @model_validator(mode="after")
    def _default_name(self) -> Self:
        if "name" not in self.model_fields_set:
            object.__setattr__(self, "name", default_name(self.universe, self.market))
        return self

    @model_validator(mode="after")
    def _walk_trains(self) -> Self:
        if self.evaluation.walk.mode != "off" and (self.train.weights is not None or not self.train.epochs):
            # Weights of another run may have been trained on labels of the folds' tests.
            raise ValueError("evaluation.walk trains every fold: it needs train.epochs above 0 and no train.weights")
        return self

    @model_validator(mode="after")
    def _within_a_day(self) -> Self:
        if self.dataset.labels_across_closes and not self.market.bridge_sessions:
            raise ValueError(
                "dataset.labels_across_closes needs market.bridge_sessions=true: no segment crosses a close"
            )
        if self.market.interval != "1d" and self.exogenous.news.source == "synthetic":
            raise ValueError(
                f"exogenous.news.source=synthetic tells of daily returns, and market.interval is {self.market.interval}"
            )
        return self

    @model_validator(mode="after")
    def _dates_in_order(self) -> Self:
        start, end = self.market.start, self.market.end
        first, second = self.dataset.train_end, self.dataset.validation_end
        if not start < first < second < end:
            raise ValueError(
                "dates must be in order: market.start < dataset.train_end < dataset.validation_end < market.end, "
                f"got {start}, {first}, {second}, {end}"
            )
        return self

    @property
    def ablations(self) -> tuple[str, ...]:
        """The groups of exogenous columns for which the run trains networks besides its own."""
        chosen = self.exogenous
        if not (chosen.ablation and chosen.groups) or not self.train.epochs or self.train.weights:
            return ()
        every = ("none", *chosen.groups, *(["both"] if len(chosen.groups) > 1 else []))
        return tuple(group for group in every if group != chosen.own_inputs)

    def identity(self) -> dict[str, Any]:
        """The settings that determine the run id, JSON-ready: all but NON_IDENTITY."""
        return self.model_dump(mode="json", exclude=NON_IDENTITY)
