"""The runner takes contenders in turn, counts only the time of equal outputs, and keeps errors."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, {peers!r})
from contender import Done, Task, main

def work(task: Task) -> Done:
    with open(task.input / "order", "a") as order:
        order.write(task.settings["name"] + " ")
    if task.settings["name"] == "broken":
        raise RuntimeError("no way")
    (task.output / "result").write_text(task.settings["result"])
    return Done(float(task.settings["seconds"]), 1.0)

main(work)
"""


def compare(ours: str, theirs: str, tolerance: float) -> dict[str, float]:
    if ours != theirs:
        raise ValueError(f"{theirs} instead of {ours}")
    return {"compared": 1.0, "largest_difference": 0.0, "tolerance": tolerance}


def test_rounds(peers: Path, tmp_path: Path) -> None:
    from contenders import Contender, Group
    from rounds import measure

    (tmp_path / "input.py").write_text(
        "import sys; from pathlib import Path\n"
        "Path(sys.argv[1].split('=')[1]).mkdir(); print('{\"units\": ' + sys.argv[2].split('=')[1] + '}')\n"
    )
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(peers=str(peers)))
    check = SimpleNamespace(read=lambda folder: (folder / "result").read_text(), compare=compare, TOLERANCE=0.5)

    def contender(name: str, result: str, seconds: float, **more: Any) -> Any:
        return Contender(name, str(program), (f"name={name}", f"result={result}", f"seconds={seconds}"), **more)

    contenders = (
        contender("cloudlstm", "right", 2.0, column=True),
        contender("slow", "right", 5.0, tolerance=0.25),
        contender("wrong", "other", 0.1),
        contender("broken", "right", 0.1),
        contender("absent", "right", 0.1, environment="no-such-list"),
    )
    group = Group("rows", "work", (str(tmp_path / "input.py"), "size"), 7, None, check, contenders)
    units, documents = measure(group, tmp_path, 7, rounds=2)
    by_name = {each["name"]: each for each in documents}
    assert units == 7
    assert by_name["slow"]["seconds"] == [5.0, 5.0]
    assert by_name["slow"]["checked"]["tolerance"] == 0.25
    assert by_name["cloudlstm"]["peak_gib"] >= 0
    assert by_name["wrong"] == {"name": "wrong", "column": False, "error": "other instead of right"}
    assert by_name["broken"]["error"] == "RuntimeError: no way"
    assert by_name["absent"]["error"] == "not installed: peers has no no-such-list.txt"
    order = (tmp_path / "input" / "order").read_text().split()
    assert order == ["cloudlstm", "slow", "wrong", "broken"] + 2 * ["cloudlstm", "slow"]


def test_the_first_contender_of_each_group_is_ours_and_every_program_is_there(peers: Path) -> None:
    from contenders import GROUPS
    from environments import REQUIREMENTS

    for group in GROUPS.values():
        assert group.contenders[0].column
        for each in group.contenders:
            assert (peers / each.program).exists()
            assert each.environment is None or (REQUIREMENTS / f"{each.environment}.txt").exists()


def test_packages_of_peers_are_pinned_and_name_no_index(peers: Path) -> None:
    from environments import REQUIREMENTS

    for path in REQUIREMENTS.glob("*.txt"):
        for line in path.read_text().splitlines():
            assert line.startswith("#") or line.count("==") == 1, (path.name, line)


def test_tables_have_ratios_and_errors(peers: Path) -> None:
    from tables import markdown

    ours = {"name": "cloudlstm", "column": True, "seconds": [1.0, 2.0, 4.0], "cpu_s": [2.0] * 3, "peak_gib": 0.5,
            "checked": {}, "versions": {"cloudlstm": "1"}, "facts": {}}  # fmt: skip
    theirs = ours | {"name": "other", "column": False, "seconds": [3.0, 3.0, 6.0], "peak_gib": 1.0, "cpu_s": None,
                     "checked": {"compared": 0.975, "largest_difference": 2e-12}, "versions": {}}  # fmt: skip
    broken = {"name": "broken", "column": False, "error": "not installed: a | b"}
    lines = markdown({"contenders": [ours, theirs, broken], "units": 1}).splitlines()
    assert lines[3].startswith("| other | 1.50 (1.50 to 3.00) |  | 2.00 | 97.5%, 2e-12 |")
    assert "no result: not installed: a / b" in lines[4]
    assert len({line.count("|") for line in lines}) == 1


def test_a_table_of_a_busy_machine_says_that_it_must_not_be_quoted(peers: Path) -> None:
    from tables import warning

    quiet = {"machine": {"cores": 2}, "load_before": 0.3, "load_after": 2.4, "rounds": 3, "commit": "1234567"}
    assert warning(quiet) == ""
    assert "a load of 11 on 2 cores" in warning(quiet | {"load_before": 11.2})
    assert "it has 1 round instead of 3" in warning(quiet | {"rounds": 1})
    assert "in no commit" in warning(quiet | {"commit": "1234567+"})


def test_the_page_has_the_stored_results(peers: Path) -> None:
    from contenders import GROUPS
    from tables import PAGE, RESULTS, page

    text = PAGE.read_text()
    for name in GROUPS:
        assert f"<!-- {name} -->" in text
        found = json.loads((RESULTS / f"peers-{name}.json").read_text())
        assert [each["name"] for each in found["contenders"]] == [each.name for each in GROUPS[name].contenders]
    assert page(text) == text, f"{sys.executable} benchmarks/peers/tables.py"
