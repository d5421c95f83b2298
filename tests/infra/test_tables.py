"""Tables that repeat what stands elsewhere are up to date: variables, outputs, prices."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docs import tables

from infra.terraform_runner import REPOSITORY


@pytest.mark.parametrize("page", tables.pages(), ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_the_tables_are_up_to_date(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == tables.pages()[page], "run `make docs`"


def test_every_demand_of_a_cloud_is_held_by_a_test_that_exists() -> None:
    """The table of docs/clouds.md names functions of tests, and runs of Terraform's own tests."""
    rows = re.findall(r"^\| (\d+) \|.*\| (.*) \|$", tables.PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 23))
    for number, cell in rows:
        named = re.findall(r"`([\w/.-]+)(?:::(\w+))?`", cell)
        assert named, f"row {number} names no test"
        for path, name in named:
            text = (REPOSITORY / path).read_text(encoding="utf-8")
            assert re.search(rf'^(def {name}\(|run "{name}" )', text, re.MULTILINE) or not name, f"{path} has no {name}"


@pytest.mark.parametrize("root", tables.roots(), ids=lambda root: "-".join(root.parts[-2:]))
def test_every_variable_and_output_has_a_row(root: Path) -> None:
    for word, rows in (("variable", tables.variable_rows(root)), ("output", tables.output_rows(root))):
        names = re.findall(rf'^{word} "(\w+)"', (root / f"{word}s.tf").read_text(), re.MULTILINE)
        assert [row[0] for row in rows[1:]] == [f"`{name}`" for name in names]
        assert all(row[-1] for row in rows)


def test_a_variable_without_default_is_required_and_null_is_a_default(tmp_path: Path) -> None:
    (tmp_path / "variables.tf").write_text("""
variable "first" {
  description = "One | two: \\"quoted\\"."
  type        = list(string)
}
variable "second" {
  description = "May be null."
  type = object({
    size = number
  })
  default = null
}
variable "third" {
  description = "Has a default."
  type        = string
  default     = "a"
}
""")
    assert tables.variable_rows(tmp_path)[1:] == [
        ("`first`", "`list(string)`", "required", 'One \\| two: "quoted".'),
        ("`second`", "`object({size = number})`", "`null`", "May be null."),
        ("`third`", "`string`", '`"a"`', "Has a default."),
    ]


def test_what_stands_outside_of_a_table_is_kept() -> None:
    page = "before\n<!-- prices -->\nold\n<!-- /prices -->\nafter\n"
    rows = [("a", "b"), ("1", "")]
    assert tables.between(page, "prices", rows) == (
        "before\n<!-- prices -->\n| a | b |\n| --- | --- |\n| 1 | |\n<!-- /prices -->\nafter\n"
    )
    with pytest.raises(ValueError, match="no comments <!-- outputs -->"):
        tables.between(page, "outputs", rows)


def test_prices_follow_the_defaults_of_the_roots() -> None:
    rows = {row[0]: row[2:] for row in tables.price_rows("aws", "gcp")}
    assert rows["a Spark node with the service's fee"] == ("0.24 (`m6i.xlarge`)", "0.23 (`n2-standard-4`)")
    assert rows["the Spark cluster at its least size, at work or idle"] == ("0.72 (3 nodes)", "0.70 (3 nodes)")
    assert rows["a trainer with a GPU of type t4"] == ("0.54 (`g4dn.xlarge`)", "0.55 (`n1-standard-4`)")
    spot = rows["a trainer with a GPU of type t4, from the spot market, usually"]
    assert [text[:4] for text in spot] == ["0.22", "0.23"]
    assert rows["a trainer with a GPU of type a100"][0] == "none"
    alone = {row[0] for row in tables.price_rows("gcp")}
    assert "a trainer with a GPU of type a10g" not in alone
    assert "EMR's endpoint, with releases emr-spark-*" not in alone


def test_costs_follow_the_settings() -> None:
    def numbers(cloud: str, **settings: object) -> list[float]:
        return [float(each) for each in re.findall(r"\d\.\d+(?= )", tables.costs(cloud, settings))]

    assert numbers("aws") == [0.06, 0.72, 0.54]
    assert numbers("aws", egress="none", trainer_gpu="none", spark_min_nodes=1) == [0.02, 0.48, 0.21]
    assert numbers("gcp", trainer_gpu="l4", trainer_spot=True) == [0.71, 0.3]
    with pytest.raises(ValueError, match=r"lacks m9z\.large"):
        tables.costs("aws", {"spark_machine": "m9z.large"})
