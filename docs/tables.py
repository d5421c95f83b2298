"""Writes the tables of pages that repeat what stands elsewhere; `make docs` runs it.

- infra/terraform/**/README.md: variables and outputs, from variables.tf and outputs.tf beside it.
- docs/clouds.md and the README of each main root: prices, from src/cloudlstm/costs/prices.toml and the defaults of the
  Terraform roots.
- examples/: what each example costs an hour, by the same prices.
- docs/operations.md: what a model costs in a month, by the same prices and the estimate before a submit.
- docs/exogenous.md: when FRED's series are known, and the reasons for which rows are refused, from exogenous/sources.

A table stands between two comments, `<!-- name -->` and `<!-- /name -->`. What stands outside of them is kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import hcl2

from cloudlstm.cli.daily_budget import price_of
from cloudlstm.cli.estimate import estimate
from cloudlstm.config import parse as settings_of
from cloudlstm.costs.prices import HOURS_A_MONTH, prices
from cloudlstm.exogenous.sources.found import REASONS
from cloudlstm.exogenous.sources.release_lags import rows_of_rules
from cloudlstm.runs.paths import RunPaths
from cloudlstm.targets.cloud import CloudTarget
from cloudlstm.targets.document import TargetConfig

REPO = Path(__file__).resolve().parents[1]
INFRA = REPO / "infra" / "terraform"
EXAMPLES = REPO / "examples"
PAGE = REPO / "docs" / "clouds.md"
EXOGENOUS = REPO / "docs" / "exogenous.md"
OPERATIONS = REPO / "docs" / "operations.md"
CLOUDS = ("aws", "gcp")

Row = tuple[str, ...]
Settings = dict[str, Any]


def pages() -> dict[Path, str]:
    """Returns the text of each page as it should be."""
    found = {root / "README.md": _described(root) for root in roots()}
    found[PAGE] = between(PAGE.read_text(encoding="utf-8"), "prices", price_rows(*CLOUDS))
    found[OPERATIONS] = between(OPERATIONS.read_text(encoding="utf-8"), "month", month_rows())
    found[EXOGENOUS] = _exogenous(EXOGENOUS.read_text(encoding="utf-8"))
    return found | {path: _example(path) for path in examples()}


def _exogenous(text: str) -> str:
    """The page on news and macro series with its tables."""
    rules = [("series", "known at (New York)", "publisher"), *rows_of_rules()]
    reasons = [("reason", "meaning"), *((f"`{code}`", meaning) for code, meaning in REASONS.items())]
    return between(between(text, "release lags", rules), "refused rows", reasons)


def roots() -> list[Path]:
    """Returns the Terraform roots of the project."""
    found = sorted(path.parent for path in INFRA.glob("**/versions.tf"))
    return [root for root in found if "<!-- variables -->" in (root / "README.md").read_text(encoding="utf-8")]


def examples() -> list[Path]:
    """Returns the example settings of the roots."""
    return sorted(EXAMPLES.glob("*/*.tfvars"))


def between(text: str, name: str, rows: list[Row]) -> str:
    """Returns a page with these rows, heading first, as the table `name`.

    Raises:
        ValueError: the page lacks the comments that enclose the table.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page has no comments {begin.strip()} and {end}")
    lines = [rows[0], tuple("---" for _ in rows[0]), *rows[1:]]
    return before + begin + "".join(f"| {' | '.join(line)} |\n".replace("|  |", "| |") for line in lines) + end + after


# Variables and outputs


def blocks(path: Path, kind: str) -> dict[str, Settings]:
    """Returns the blocks "variable" or "output" of a file, by name."""
    found = parsed(path).get(kind, [])
    return {json.loads(name): body for block in found for name, body in block.items()}


@cache
def parsed(path: Path) -> Settings:
    """Returns a file in HCL; a string keeps its quotes, an expression is "${…}"."""
    with path.open(encoding="utf-8") as file:
        return dict(hcl2.load(file))


def plain(value: Any) -> Any:
    """Returns a constant without the quotes of its strings."""
    if isinstance(value, str):
        return json.loads(value) if value.startswith('"') else value
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {plain(name): plain(each) for name, each in value.items() if name != "__is_block__"}
    return value


def variable_rows(root: Path) -> list[Row]:
    """Returns the table of a root's variables: name, type, default, meaning."""
    rows: list[Row] = [("name", "type", "default", "meaning")]
    for name, body in blocks(root / "variables.tf", "variable").items():
        default = f"`{json.dumps(plain(body['default']), ensure_ascii=False)}`" if "default" in body else "required"
        kind = re.sub(r"^\$\{(.*)\}$", r"\1", body["type"].strip('"')).replace("\n", " ")
        rows.append((f"`{name}`", f"`{kind}`", default, _cell(body["description"])))
    return rows


def output_rows(root: Path) -> list[Row]:
    """Returns the table of a root's outputs: name, meaning."""
    outputs = blocks(root / "outputs.tf", "output")
    return [("name", "meaning"), *((f"`{name}`", _cell(body["description"])) for name, body in outputs.items())]


def _described(root: Path) -> str:
    text = (root / "README.md").read_text(encoding="utf-8")
    if "<!-- prices -->" in text:
        text = between(text, "prices", price_rows(root.name))
    return between(between(text, "variables", variable_rows(root)), "outputs", output_rows(root))


def _cell(text: str) -> str:
    return " ".join(str(plain(text)).split()).replace("|", "\\|")


# Prices


def defaults(cloud: str) -> Settings:
    """Returns the defaults of a root's variables."""
    found = blocks(INFRA / cloud / "variables.tf", "variable")
    return {name: plain(body.get("default")) for name, body in found.items()}


def usual_machines(cloud: str) -> dict[str, str]:
    """Returns the trainers' first machine type by GPU: the local value `trainer_usual` of a root."""
    found = next(
        each["trainer_usual"] for each in parsed(INFRA / cloud / "trainers.tf")["locals"] if "trainer_usual" in each
    )
    return {gpu: types[0] if isinstance(types, list) else types for gpu, types in plain(found).items()}


def disk_gib(cloud: str, settings: Settings) -> int:
    """Returns a trainer's disk: the variable, or what the root takes if it is null."""
    if settings["trainer_disk_gib"] is not None:
        return int(settings["trainer_disk_gib"])
    text = (INFRA / cloud / "trainers.tf").read_text(encoding="utf-8")
    found = re.search(
        r'trainer_disk_gib\s*=\s*coalesce\(var\.trainer_disk_gib, var\.trainer_gpu == "none" \? (\d+) : (\d+)\)', text
    )
    if found is None:
        raise ValueError(f"{cloud}/trainers.tf does not say which disk a trainer gets without trainer_disk_gib")
    return int(found[1] if settings["trainer_gpu"] == "none" else found[2])


def spark_hour(cloud: str, settings: Settings) -> float:
    """Returns the price of the Spark cluster at its least size an hour."""
    node = prices(cloud).spark_node(settings["spark_machine"])
    return (1 + int(settings["spark_min_nodes"])) * _known(node, settings["spark_machine"])


def trainer_hour(cloud: str, settings: Settings) -> float:
    """Returns the price of a trainer with its disk an hour."""
    gpu, machines = settings["trainer_gpu"], settings["trainer_machines"]
    machine = machines[0] if machines else usual_machines(cloud)[gpu]
    spot, gib = bool(settings["trainer_spot"]), disk_gib(cloud, settings)
    return _known(prices(cloud).trainer(machine, gpu, gib, spot=spot), machine)


def network_hour(cloud: str, settings: Settings) -> float:
    """Returns what stays between apply and destroy an hour: the way to the internet and endpoints."""
    table = prices(cloud)
    if cloud == "gcp":  # its NAT is paid while machines run
        return 0.0
    endpoints = settings["spark_release"].startswith("emr-spark-")
    if settings["egress"] == "none":
        services = 3 if settings.get("debug_access") else 1
        return table.endpoint_hour * (endpoints + services * int(settings.get("trainer_zones") or 1))
    return table.endpoint_hour * endpoints + (table.nat_hour if settings.get("network") is None else 0.0)


def _known(price: float | None, machine: str) -> float:
    if price is None:
        raise ValueError(f"src/cloudlstm/costs/prices.toml lacks {machine}")
    return price


def price_rows(*clouds: str) -> list[Row]:
    """Returns the table of prices: what, for which time or size, and a column for each cloud."""
    first = clouds[0]
    gpus = list(dict.fromkeys(gpu for cloud in clouds for gpu in usual_machines(cloud)))
    rows = [
        _row("a Spark node with the service's fee", "an hour", clouds, _node),
        _row("the Spark cluster at its least size, at work or idle", "an hour", clouds, _cluster),
        *(_row(_trainer_named(gpu), "an hour", clouds, _trainer(gpu, spot=False)) for gpu in gpus),
        _row(
            f"{_trainer_named(defaults(first)['trainer_gpu'])}, from the spot market, usually",
            "an hour",
            clouds,
            _trainer(defaults(first)["trainer_gpu"], spot=True),
        ),
        _row(
            "a trainer's disk, included above",
            "a GiB and month",
            clouds,
            lambda cloud: _usd(prices(cloud).disk_gib_month),
        ),
        _row("way to the internet (NAT)", "an hour", clouds, _nat),
        _row("the same, always on", "a month", clouds, lambda cloud: f"{prices(cloud).nat_hour * HOURS_A_MONTH:.1f}"),
        _row("what goes through it", "a GB", clouds, lambda cloud: _usd(prices(cloud).nat_gb)),
        _row("EMR's endpoint, with releases emr-spark-*", "an hour", clouds, _endpoint),
        _row('Auto Scaling\'s endpoint, with `egress = "none"`', "an hour and zone", clouds, _endpoint),
        _row("objects in the bucket", "a GB and month", clouds, lambda cloud: _usd(prices(cloud).storage_gb_month)),
    ]
    names = {"aws": "AWS, USD", "gcp": "Google Cloud, USD"}
    heading = ("what", "for", *(names[cloud] for cloud in clouds))
    return [heading, *(row for row in rows if set(row[2:]) != {_NONE})]


_NONE = "none"


def _row(what: str, size: str, clouds: Sequence[str], price: Callable[[str], str]) -> Row:
    return (what, size, *(price(cloud) for cloud in clouds))


def _trainer_named(gpu: str) -> str:
    return "a trainer without GPU" if gpu == "none" else f"a trainer with a GPU of type {gpu}"


def _node(cloud: str) -> str:
    own = defaults(cloud)
    return f"{_usd(spark_hour(cloud, own | {'spark_min_nodes': 0}))} (`{own['spark_machine']}`)"


def _cluster(cloud: str) -> str:
    own = defaults(cloud)
    return f"{_usd(spark_hour(cloud, own))} ({1 + int(own['spark_min_nodes'])} nodes)"


def _trainer(gpu: str, *, spot: bool) -> Callable[[str], str]:
    def price(cloud: str) -> str:
        machine = usual_machines(cloud).get(gpu)
        given = {"trainer_gpu": gpu, "trainer_machines": [], "trainer_spot": spot}
        return f"{_usd(trainer_hour(cloud, defaults(cloud) | given))} (`{machine}`)" if machine else _NONE

    return price


def _nat(cloud: str) -> str:
    table = prices(cloud)
    each = f", and {_usd(table.nat_machine_hour)} a machine, while machines run" if table.nat_machine_hour else ""
    return f"{_usd(table.nat_hour)}{each}"


def _endpoint(cloud: str) -> str:
    return _usd(prices(cloud).endpoint_hour) if prices(cloud).endpoint_hour else _NONE


def _usd(price: float) -> str:
    return f"{price:.2f}" if price >= 0.1 else f"{price:.4f}".rstrip("0").rstrip(".")


# Examples


def costs(cloud: str, settings: Settings) -> str:
    """Returns the sentence that says what a root with these settings costs an hour."""
    own, table = defaults(cloud) | settings, prices(cloud)
    stays, spark, trainer = network_hour(cloud, own), spark_hour(cloud, own), trainer_hour(cloud, own)
    if cloud == "gcp" and own["egress"] == "nat":
        nodes = 1 + int(own["spark_min_nodes"])
        spark, trainer = spark + table.nat_hour + nodes * table.nat_machine_hour, trainer + table.nat_machine_hour
    usually = " (usually: spot)" if own["trainer_spot"] else ""
    return (
        f"USD an hour: {f'{stays:.2f} from apply to destroy, ' if stays else ''}"
        f"{spark:.2f} while the Spark cluster lives, {trainer:.2f} for each trainer at work{usually}; "
        f"{table.region}, {table.date}"
    )


def _example(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    line = f"# {costs(path.parent.name, plain(parsed(path)))}"
    new, count = re.subn(r"^# USD an hour:.*$", lambda _: line, text, count=1, flags=re.MULTILINE)
    if not count:
        raise ValueError(f'{path} has no line "# USD an hour:"')
    return new


# A month of a model

DAYS_A_MONTH, DAY_H, TICKERS, STORED_GB = 21, 1 / 6, 6, 5
LAUNCHERS = {"aws": "m7i.large", "gcp": "e2-standard-2"}
"""What the table of a month assumes: weekdays, hours of a day without a training, tickers, size of the bucket."""
EPOCHS = {"warm": 2, "cold": 30}
A_MONTH = {"warm": 1.0, "cold": 1 / 6}
"""Trainings of the default policy: each 21 and each 126 sessions."""


def month_rows() -> list[Row]:
    """Returns what a model of the default settings costs in a month, and the least limits that pay its trainings."""
    rows: dict[str, list[float]] = {}
    least: dict[str, list[float]] = {}
    for cloud in CLOUDS:
        own, table = defaults(cloud), prices(cloud)
        target, stays, machine = _target(cloud, own), network_hour(cloud, own), LAUNCHERS[cloud]
        days = f"{DAYS_A_MONTH} days of {DAY_H * 60:.0f} minutes"
        hour = _known(table.machines.get(machine), machine)
        parts = {f"the launcher ({_list(LAUNCHERS)}), {days}": DAYS_A_MONTH * DAY_H * hour}
        for kind, epochs in EPOCHS.items():
            config = settings_of({"train": {"epochs": epochs, "workers": target.workers}})
            lines = estimate(target.config, config, TICKERS).lines
            cost = sum(line.usd or 0.0 for line in lines if not stays or line.what.startswith(_MACHINES))
            often = "one a month" if kind == "warm" else "one in six months"
            parts[f"{kind} trainings, {often}: {epochs} epochs, cluster and trainers"] = A_MONTH[kind] * cost
            dearest = price_of(target, RunPaths.of(f"file://{REPO}/runs", "none"), config, TICKERS).usd
            least.setdefault(f"least `max_usd_month` that pays a {kind} training", []).append(dearest)
        parts["NAT gateway and EMR's endpoint, from apply to destroy"] = stays * HOURS_A_MONTH
        parts[f"{STORED_GB} GB of objects"] = STORED_GB * table.storage_gb_month
        for what, usd in parts.items():
            rows.setdefault(what, []).append(usd)
        rows.setdefault("together", []).append(sum(parts.values()))
    heading = ("what", "AWS, USD", "Google Cloud, USD")
    return [heading, *((what, *(f"{usd:.2f}" for usd in found)) for what, found in (rows | least).items())]


_MACHINES = ("Spark", "1 trainer", "2 trainers")
"""Beginnings of the lines of an estimate that are paid only while machines work."""


def _list(names: dict[str, str]) -> str:
    return ", ".join(f"`{name}`" for name in names.values())


def _target(cloud: str, own: Settings) -> CloudTarget:
    """A target of the default settings; nothing of it is called."""
    given = {
        "contract_version": 2, "cloud": cloud, "name": "cloudlstm", "account": "0", "region": prices(cloud).region,
        "bucket_uri": "s3://bucket", "spark_cluster": "cluster", "spark_python_path": "/usr/bin/python3",
        "spark_architecture": "x86_64", "spark_spot": False, "log_uri": "", "trainer_group": "trainers",
        "trainer_zones": ["zone"], "trainer_machines": [usual_machines(cloud)[own["trainer_gpu"]]],
        "trainer_port": 8470, "trainer_disk_gib": disk_gib(cloud, own),
    }  # fmt: skip
    names = TargetConfig.model_fields.keys() - given.keys() - {"endpoints"}
    config = TargetConfig.model_validate(given | {name: own[name] for name in names if name in own})
    return CloudTarget(config, None, None, None)  # type: ignore[arg-type]


def main() -> None:
    for path, text in pages().items():
        if path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
