"""Runs the code cells of a notebook in one namespace, and shows the value of each last line as a notebook does.

Where nbclient and ipykernel are not installed, this stands in for them: python notebook_cells.py NOTEBOOK
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path


def show(value: object) -> None:
    to_html = getattr(value, "_repr_html_", None)
    sys.stdout.write(f"{to_html() if to_html else value!r}\n")


def main(path: str) -> None:
    namespace: dict[str, object] = {"__name__": "__main__"}
    for number, cell in enumerate(json.loads(Path(path).read_text())["cells"]):
        if cell["cell_type"] == "code":
            tree = ast.parse("".join(cell["source"]), f"cell {number}")
            last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
            sys.stdout.write(f"cell {number}:\n")
            exec(compile(tree, f"cell {number}", "exec"), namespace)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), namespace)
                if value is not None:
                    show(value)


if __name__ == "__main__":
    main(sys.argv[1])
