"""The variables of a Terraform root: what is declared, which values are given, and what is wrong with them.

Terraform checks all of this itself when it plans. Here types are checked, and those conditions of `validation` blocks
that compare values with literals; every other condition is passed over.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudlstm.errors import ConfigError, UsageError
from cloudlstm.targets.hcl import NotLiteralError, read_defaults, read_pairs, read_value

_PREFIX = "TF_VAR_"
_NEAR = 0.6
_PRIMITIVE = ("string", "number", "bool")
_WORDS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Variable:
    """A declared variable.

    Attributes:
        kind: The first line of its type: "number", "list(string)", "object({".
        required: Whether it has no default.
        default: Its default.
        rules: The conditions of its value, each with its message.
    """

    kind: str
    required: bool
    default: Any
    rules: tuple[tuple[str, str], ...]


def declared(text: str) -> dict[str, Variable]:
    """Returns the variables that a text declares, by name.

    Raises:
        NotLiteralError: a default is no literal.
    """
    defaults, found = read_defaults(text), {}
    for name, body in re.findall(r'^variable "([^"]+)" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL):
        kind = re.search(r"^  type\s*=\s*(\S.*)$", body, re.MULTILINE)
        rules = tuple(
            (re.sub(r"\s*\n\s*", "", rule[1]), _message(body, rule.end()))
            for rule in re.finditer(r"^    condition\s*=\s*(.*?)\n\s*error_message\s*=", body, re.MULTILINE | re.DOTALL)
        )
        found[name] = Variable(kind[1] if kind else "any", name not in defaults, defaults.get(name), rules)
    return found


def given(folder: Path, known: Mapping[str, Variable], words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Returns the values that a root gets, and what the files name that is no variable.

    Args:
        folder: The root's folder.
        known: Its variables.
        words: Values of the command line, as NAME=VALUE.

    Raises:
        UsageError: a word names no variable.
        ConfigError: a file cannot be read.
    """
    values = {name: _value(known[name], os.environ[_PREFIX + name]) for name in known if _PREFIX + name in os.environ}
    automatic = sorted([*folder.glob("*.auto.tfvars"), *folder.glob("*.auto.tfvars.json")])
    foreign = []
    for path in (folder / "terraform.tfvars", folder / "terraform.tfvars.json", *automatic):
        if path.is_file():
            found = _read(path)
            foreign += [f"{name} in {path.name}{_meant(name, known)}" for name in found if name not in known]
            values |= {name: value for name, value in found.items() if name in known}
    for word in words:
        name, _, text = word.partition("=")
        if name not in known:
            raise UsageError(f"the root has no variable {name}", hint=_instead(name, text, known))
        values[name] = _value(known[name], text)
    return values, foreign


def problems(known: Mapping[str, Variable], values: dict[str, Any]) -> list[str]:
    """Returns a sentence for each value that Terraform would refuse; converts the others as Terraform does."""
    found = []
    for name, variable in known.items():
        try:
            values[name] = _converted(variable, values[name])
        except ValueError as error:
            found.append(f"variable {name} = {_shown(values[name])}: {error}")
    if found:
        return found  # the conditions compare values of the right type
    return [
        f"variable {name} = {_shown(values[name])}: {message}"
        for name, variable in known.items()
        for condition, message in variable.rules
        if _is_broken(condition, name, values)
    ]


def _message(text: str, start: int) -> str:
    try:
        return str(read_value(text, start))
    except NotLiteralError:
        return "its validation refuses this value"


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if path.suffix == ".json" else read_pairs(text)
        if not isinstance(found, dict):
            raise ValueError(f"{type(found).__name__} where an object belongs")
    except NotLiteralError as error:
        raise ConfigError(
            f"{path} cannot be read: line {error.line}: {error}", hint="literal values, as NAME = VALUE"
        ) from None
    except ValueError as error:
        raise ConfigError(f"{path} cannot be read: {error}", hint="literal values, as NAME = VALUE") from None
    return found


def _value(variable: Variable, text: str) -> Any:
    """Returns a value of the environment or the command line, where strings have no quotes."""
    if variable.kind in _PRIMITIVE:
        return text
    try:
        return read_value(text, whole=True)
    except NotLiteralError:
        return text


def _instead(name: str, text: str, known: Mapping[str, Variable]) -> str:
    """Returns what to type instead of a word that names no variable."""
    if name.startswith("-"):
        return passed_as_flag(f"{name}={text}")
    near = difflib.get_close_matches(name, known, n=1, cutoff=_NEAR)
    return f"{near[0]}={text}" if near else f"NAME=VALUE with one of {', '.join(known)}"


def passed_as_flag(word: str) -> str:
    """Returns what to type for a word that is a flag of Terraform, or a variable that was typed as a flag."""
    bare = word.lstrip("-")
    if re.match(r"var[-_]file\b", bare):
        return "NAME=VALUE for each value, or put them into terraform.tfvars, which is read by itself"
    name, _, text = bare.removeprefix("var=").partition("=")
    return f"{name.replace('-', '_')}={text or 'VALUE'}"


def _meant(name: str, known: Mapping[str, Variable]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=_NEAR)
    return f" (is {near[0]} meant?)" if near else ""


def _shown(value: Any) -> str:
    return json.dumps(value) if not isinstance(value, str) or not value else value


def _converted(variable: Variable, value: Any) -> Any:
    """Returns a value in its variable's type; raises ValueError with what belongs there."""
    kind = variable.kind
    if value is None:
        if variable.default is None and not variable.required:
            return None
        raise ValueError("a value belongs here")
    if kind in _PRIMITIVE:
        return _primitive(variable, value)
    if kind in ("list(string)", "set(string)"):
        if not isinstance(value, list) or any(each is None or isinstance(each, list | dict) for each in value):
            raise ValueError('a list of strings belongs here, such as ["a", "b"]')
        if "" in value:
            raise ValueError("one of the strings is empty")
        return [each if isinstance(each, str) else json.dumps(each) for each in value]
    if kind.startswith(("map(", "object(")) and not isinstance(value, dict):
        raise ValueError("{ NAME = VALUE } belongs here")
    return value


def _primitive(variable: Variable, value: Any) -> Any:
    if isinstance(value, list | dict):
        raise ValueError(f"a {variable.kind} belongs here")
    if variable.kind == "string":
        if value == "" != variable.default:
            raise ValueError("it is empty")
        return value if isinstance(value, str) else json.dumps(value)
    if variable.kind == "bool":
        if value not in _WORDS and not isinstance(value, bool):
            raise ValueError("true or false belongs here")
        return _WORDS.get(value, value)
    if isinstance(value, bool) or not re.fullmatch(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", str(value)):
        raise ValueError("a number belongs here")
    number = float(value)
    return int(number) if number.is_integer() else number


_STRING = r'"(?:[^"\\]|\\.)*"'
_SIGNS = re.compile(rf"{_STRING}|[\[({{]|[\])}}]|&&|\|\||\?")
_NUMBER = r"-?\d+(?:\.\d+)?"
_OPERAND = rf"(?:floor\(var\.\w+\)|length\((?:distinct\()?var\.\w+\)?\)|var\.\w+|{_NUMBER}|{_STRING})"
_COMPARED = re.compile(rf"({_OPERAND}) (>=|<=|==|!=|>|<) ({_OPERAND})")
_MATCHED = re.compile(rf"(!?)can\(regex\(({_STRING}), ?var\.(\w+)\)\)")
_CONTAINED = re.compile(r"contains\((\[.*\]), ?var\.(\w+)\)")
_ALL_MATCHED = re.compile(
    rf"alltrue\(\[for (\w+) in var\.(\w+) : can\(regex\((?:({_STRING})|lookup\((\{{.*\}}), var\.(\w+), ({_STRING})\))"
    r", ?\1\)\)\]\)"
)  # fmt: skip
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    ">=": lambda left, right: left >= right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    "<": lambda left, right: left < right,
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
}


def _is_broken(condition: str, name: str, values: Mapping[str, Any]) -> bool:
    """True if a part of the condition that is understood does not hold, and no other part can make up for it."""
    condition = condition.strip()
    optional = f"var.{name} == null || "
    if condition.startswith(optional):
        if values[name] is None:
            return False
        condition = condition.removeprefix(optional)
        condition = re.sub(r"^try\((.*), false\)$", r"\1", condition)
    parts = list(_split(condition))
    try:
        return any(_holds(part.strip(), values) is False for part in parts)
    except (TypeError, NotLiteralError, re.error):
        return False  # another variable is null, or the pattern is none of Python's


def _split(condition: str) -> Iterator[str]:
    """Yields what `&&` joins; nothing if the condition has other operators of the same level."""
    depth, start, found = 0, 0, []
    for sign in _SIGNS.finditer(condition):
        if sign[0] in "[({":
            depth += 1
        elif sign[0] in "])}":
            depth -= 1
        elif depth == 0 and sign[0] in ("||", "?"):
            return
        elif depth == 0 and sign[0] == "&&":
            found.append(condition[start : sign.start()])
            start = sign.end()
    yield from (*found, condition[start:])


def _holds(part: str, values: Mapping[str, Any]) -> bool | None:
    """Whether a comparison holds; None if it is none that is understood."""
    if compared := _COMPARED.fullmatch(part):
        return _COMPARISONS[compared[2]](_operand(compared[1], values), _operand(compared[3], values))
    if matched := _MATCHED.fullmatch(part):
        return bool(re.search(read_value(matched[2]), str(values[matched[3]]))) != bool(matched[1])
    if contained := _CONTAINED.fullmatch(part):
        return values[contained[2]] in read_value(contained[1], whole=True)
    if each := _ALL_MATCHED.fullmatch(part):
        pattern = each[3] or json.dumps(read_value(each[4]).get(values[each[5]], read_value(each[6])))
        return all(re.search(read_value(pattern), str(value)) for value in values[each[2]])
    return None


def _operand(text: str, values: Mapping[str, Any]) -> Any:
    if not (variable := re.search(r"\bvar\.(\w+)", text)):
        return read_value(text, whole=True)
    value = values[variable[1]]
    if text.startswith("floor"):
        return int(value // 1)
    if text.startswith("length"):
        return len(set(value)) if "distinct" in text else len(value)
    return value
