"""Makes tables of ratios from the results, and writes them into docs/benchmarks.md.

python benchmarks/peers/tables.py
"""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"

ROUNDS = 3
"""Timed rounds of a table that may be quoted."""

BUSY_LOAD = 2.0
"""A larger load by core shows that other programs ran: the contenders alone keep each core busy, and little more."""

Document = dict[str, Any]


def ratio(theirs: list[float], ours: list[float]) -> str:
    """The ratio of the medians, with the least and the largest ratio within a round."""
    middle = statistics.median(theirs) / statistics.median(ours)
    each = [a / b for a, b in zip(theirs, ours, strict=True)]
    return f"{middle:.2f} ({min(each):.2f} to {max(each):.2f})"


def markdown(found: Document) -> str:
    """The table of a group: how many times as long, and as much memory, a contender needs as cloudlstm.

    Args:
        found: The results of a group.
    """
    known = [each for each in found["contenders"] if "error" not in each]
    columns = [each for each in known if each["column"]]
    reference = columns[0]
    heads = ["contender", *(f"time / {each['name']}" for each in columns)]
    heads += ["CPU time / the first", "memory / the first"]
    heads += [*(["bytes a window"] if "store_bytes" in reference["facts"] else []), "rows compared, largest difference"]
    rows = []
    for each in found["contenders"]:
        if "error" in each:
            rows.append([each["name"], f"no result: {_plain(each['error'])}", *[""] * (len(heads) - 2)])
            continue
        row = [each["name"], *(ratio(each["seconds"], one["seconds"]) for one in columns)]
        row.append(ratio(each["cpu_s"], reference["cpu_s"]) if each["cpu_s"] and reference["cpu_s"] else "")
        row.append(f"{each['peak_gib'] / reference['peak_gib']:.2f}")
        if "store_bytes" in reference["facts"]:
            row.append(f"{each['facts']['store_bytes'] / found['units']:,.0f}")
        row.append(_compared(each, reference))
        rows.append(row)
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def caption(found: Document) -> str:
    """How the results came about: date, versions, machine, load."""
    machine = found["machine"]
    versions = {}
    for each in found["contenders"]:
        versions |= {f"{name} {number}": None for name, number in each.get("versions", {}).items()}
    return (
        f"{found['date']}, cloudlstm {found['cloudlstm']} ({found['commit']}), {found['units']:,} {found['unit']}, "
        f"{found['rounds']} round{'s' * (found['rounds'] != 1)}, {machine['cores']} cores ({machine['processor']}), "
        f"{machine['memory_gib']:.0f} GiB, {machine['system']}, Python {machine['python']}; "
        f"load {found['load_before']} before and {found['load_after']} after. "
        f"Versions: {', '.join(sorted(versions))}."
    )


def warning(found: Document) -> str:
    """Why the ratios of a group must not be quoted; empty for enough rounds of committed code on a quiet machine."""
    load, cores = max(found["load_before"], found["load_after"]), found["machine"]["cores"]
    reasons = []
    if load > BUSY_LOAD * cores:
        reasons.append(f"other programs kept the machine busy (a load of {load:.0f} on {cores} cores)")
    if found["rounds"] < ROUNDS:
        reasons.append(f"it has {found['rounds']} round{'s' * (found['rounds'] != 1)} instead of {ROUNDS}")
    if found["commit"].endswith("+"):
        reasons.append("the code had changes that were in no commit")
    return f"**Do not quote this table:** {'; '.join(reasons)}." if reasons else ""


def stored(name: str) -> Document:
    """The results of a group in the repository."""
    found: Document = json.loads((RESULTS / f"peers-{name}.json").read_text())
    return found


def page(text: str) -> str:
    """The page with the tables of the results in the repository between its markers."""

    def replaced(match: re.Match[str]) -> str:
        found = stored(match[1])
        body = "\n\n".join(each for each in (warning(found), caption(found), markdown(found)) if each)
        return f"<!-- {match[1]} -->\n{body}\n<!-- end -->"

    return re.sub(r"<!-- (\w+) -->\n.*?<!-- end -->", replaced, text, flags=re.DOTALL)


def write_page() -> None:
    """Writes the tables into docs/benchmarks.md."""
    PAGE.write_text(page(PAGE.read_text()))


def _compared(each: Document, reference: Document) -> str:
    if each["name"] == reference["name"]:
        return ""
    if not each["checked"]:
        return "another network"
    return f"{each['checked']['compared']:.1%}, {each['checked']['largest_difference']:.0e}"


def _plain(error: str) -> str:
    return error.replace("|", "/").replace("\n", " ")[:160]


if __name__ == "__main__":
    write_page()
