"""Writes the tables of pages that repeat what stands elsewhere; `make docs` runs it.

- infra/terraform/**/README.md: variables and outputs, from variables.tf and outputs.tf beside it.
- docs/clouds.md: prices, from src/cloudlstm/costs/prices.toml and the defaults of the Terraform roots.
- examples/: what each example costs an hour, by the same prices.

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

from cloudlstm.costs.prices import HOURS_A_MONTH, prices

REPO = Path(__file__).resolve().parents[1]
INFRA = REPO / "infra" / "terraform"
EXAMPLES = REPO / "examples"
PAGE = REPO / "docs" / "clouds.md"
CLOUDS = ("aws", "gcp")

Row = tuple[str, ...]
Settings = dict[str, Any]


def pages() -> dict[Path, str]:
    """Returns the text of each page as it should be."""
    found = {root / "README.md": _described(root) for root in roots()}
    found[PAGE] = between(PAGE.read_text(encoding="utf-8"), "prices", price_rows())
    return found | {path: _example(path) for path in examples()}


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


def price_rows() -> list[Row]:
    """Returns the table of prices: what, while, AWS, Google Cloud."""
    spark, nodes = (
        _both(lambda _, given, name=name: str(given[name])) for name in ("spark_machine", "spark_min_nodes")
    )
    node = _both(lambda cloud, given: _usd(spark_hour(cloud, given | {"spark_min_nodes": 0})))
    cluster = _both(lambda cloud, given: _usd(spark_hour(cloud, given)))
    sizes = " or ".join(dict.fromkeys(str(1 + int(each)) for each in nodes))
    gpus = list(dict.fromkeys(gpu for cloud in CLOUDS for gpu in usual_machines(cloud)))
    first = defaults(CLOUDS[0])["trainer_gpu"]
    aws, gcp = (prices(cloud) for cloud in CLOUDS)
    nat = f"{_usd(gcp.nat_hour)}, and {_usd(gcp.nat_machine_hour)} a machine"
    return [
        ("what", "for", "AWS, USD", "Google Cloud, USD"),
        (f"a Spark node ({_code(spark)}) with the service's fee", "an hour", *node),
        (f"the Spark cluster of {sizes} nodes, at work or idle", "an hour", *cluster),
        *(_trainer_row(gpu, spot=False) for gpu in gpus),
        _trainer_row(first, spot=True),
        ("a trainer's disk, included above", "a GiB and month", _usd(aws.disk_gib_month), _usd(gcp.disk_gib_month)),
        ("way to the internet (NAT)", "an hour", _usd(aws.nat_hour), f"{nat}, while machines run"),
        (
            "the same, always on",
            "a month",
            f"{aws.nat_hour * HOURS_A_MONTH:.1f}",
            f"{gcp.nat_hour * HOURS_A_MONTH:.1f}",
        ),
        ("what goes through it", "a GB", _usd(aws.nat_gb), _usd(gcp.nat_gb)),
        ("EMR's endpoint, with releases emr-spark-*", "an hour", _usd(aws.endpoint_hour), "none"),
        ('Auto Scaling\'s endpoint, with `egress = "none"`', "an hour and zone", _usd(aws.endpoint_hour), "none"),
        ("objects in the bucket", "a GB and month", _usd(aws.storage_gb_month), _usd(gcp.storage_gb_month)),
    ]


def _trainer_row(gpu: str, *, spot: bool) -> Row:
    given = {"trainer_gpu": gpu, "trainer_machines": [], "trainer_spot": spot}
    types = [usual_machines(cloud).get(gpu, "") for cloud in CLOUDS]
    found = _both(lambda cloud, own: _usd(trainer_hour(cloud, own | given)) if gpu in usual_machines(cloud) else "none")
    what = "a trainer without GPU" if gpu == "none" else f"a trainer with a GPU of type {gpu}"
    market = " from the spot market, usually" if spot else ""
    return (f"{what} ({_code(types)}){market}", "an hour", *found)


def _both(price: Callable[[str, Settings], str]) -> Row:
    return tuple(price(cloud, defaults(cloud)) for cloud in CLOUDS)


def _code(names: Sequence[str]) -> str:
    return " or ".join(f"`{name}`" for name in names if name)


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


def main() -> None:
    for path, text in pages().items():
        if path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
