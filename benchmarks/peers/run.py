"""Measures cloudlstm against what users would pick instead, and writes the results and the table of docs/benchmarks.md.

    python benchmarks/peers/run.py [--groups=data,loader,training] [--rounds=3] [--size=N]

Results go to benchmarks/results/peers-<group>.json. With another size or fewer rounds nothing is written unless
--results names a folder.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import tempfile
from pathlib import Path
from typing import Any

import machine
from contenders import GROUPS
from rounds import measure
from tables import RESULTS, ROUNDS, markdown, write_page


def measured(name: str, size: int, rounds: int, folder: Path) -> dict[str, Any]:
    """The results of a group, JSON-ready.

    Args:
        name: The group.
        size: The size of its input.
        rounds: Timed rounds.
        folder: An empty folder.
    """
    group, before = GROUPS[name], machine.load()
    units, contenders = measure(group, folder, size, rounds)
    return {
        "group": name,
        "work": group.work,
        "unit": group.unit,
        "units": units,
        "size": size,
        "rounds": rounds,
        "date": dt.date.today().isoformat(),
        **machine.state(),
        "machine": machine.describe(),
        "load_before": before,
        "load_after": machine.load(),
        "contenders": contenders,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--groups", default=",".join(GROUPS))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--size", type=int)
    parser.add_argument("--results", type=Path)
    args = parser.parse_args()
    standard = args.size is None and args.rounds >= ROUNDS
    results = args.results or (RESULTS if standard else None)
    for name in args.groups.split(","):
        print(f"{name}: {GROUPS[name].work}", flush=True)
        with tempfile.TemporaryDirectory(prefix="cloudlstm-peers-") as folder:
            found = measured(name, args.size or GROUPS[name].size, args.rounds, Path(folder).resolve())
        print(markdown(found))
        if results:
            results.mkdir(parents=True, exist_ok=True)
            (results / f"peers-{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    if results == RESULTS:
        write_page()


if __name__ == "__main__":
    main()
