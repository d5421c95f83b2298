"""Extracts the part of the Google provider schema that infra/ and examples/ use, so that tests need no provider.

    python tests/infra/provider_schema.py cdktf_cdktf_provider_google-16.12.1-py3-none-any.whl

The wheel is on PyPI (`pip download --no-deps cdktf-cdktf-provider-google==16.12.1`); 16.12.1 was made from provider
6.50.0, the oldest that infra/terraform/gcp allows. Its JavaScript is generated, a class for each block, and says of
every argument what it is and whether it is needed. Run this again when another resource is used; the result is
committed.
"""

from __future__ import annotations

import io
import json
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RESULT = Path(__file__).with_name("google_schema.json")
ROOT = Path(__file__).parents[2] / "infra" / "terraform" / "gcp"
EXAMPLES = ROOT.parents[2] / "examples"

_CLASS = re.compile(r"^class (\w+) extends cdktf\.\w+ \{$(.*?)^\}$", re.MULTILINE | re.DOTALL)
_NESTED = re.compile(r'new ([\w.]+)\(this, "(\w+)"(?:, (true|false))?\)')
_RESET = re.compile(r"^    reset\w+\(\) \{\n +this\._(\w+)(?:\.internalValue)? = undefined", re.MULTILINE)
_READ_ONLY = re.compile(r"get(\w+)Attribute\('(\w+)'\)")
_ARGUMENT = re.compile(
    r"^ {8,12}(\w+): \{\n +value: .*?\b(?:this\._|struct\.)(\w+)(?:\.internalValue)?\),\n +isBlock: (true|false),\n"
    r' +type: "(\w+)",\n +storageClassType: "(\w+)",$',
    re.MULTILINE,
)
_PLAIN = {"string": "string", "number": "number", "boolean": "bool", "any": "string"}


class Bindings:
    """The bindings of one resource or data source.

    Args:
        code: The text of their `index.js`.
    """

    def __init__(self, code: str) -> None:
        self._code = code
        self._classes = {found[1]: found[2] for found in _CLASS.finditer(code)}

    def schema(self, kind: str) -> dict[str, Any]:
        """The block of the resource type or data source `kind`."""
        name = next(name for name, body in self._classes.items() if f"terraformResourceType: '{kind}'" in body)
        return self._block(name, self._classes[name])

    def _block(self, name: str, hcl: str) -> dict[str, Any]:
        """The block of the class `name`; `hcl` is the code that writes its arguments."""
        body = self._classes[name]
        nested = {found[2]: found for found in _NESTED.finditer(body)}
        optional = {found[1] for found in _RESET.finditer(body)}
        block: dict[str, Any] = {"attributes": {}, "blocks": {}}
        for argument, member, is_block, collection, kind in (found.groups() for found in _ARGUMENT.finditer(hcl)):
            if is_block == "true":
                inner = nested[argument][1]
                struct = inner.removesuffix("List" if inner.endswith("List") else "OutputReference")
                block["blocks"][argument] = {
                    "nesting": "single" if collection == "struct" else collection,
                    "min": int(member not in optional),
                    "max": 0 if inner.endswith("List") else 1,
                    **self._block(f"{struct}OutputReference", self._writer(struct)),
                }
            else:
                block["attributes"][argument] = {
                    "type": _type(collection, kind),
                    "how": "optional" if member in optional else "required",
                }
        for kind, argument in _READ_ONLY.findall(body):
            block["attributes"].setdefault(argument, {"type": _type_read(kind), "how": "computed"})
        for argument, found in nested.items():
            if argument not in block["blocks"]:
                block["attributes"].setdefault(argument, {"type": self._object(found), "how": "computed"})
        return block

    def _object(self, found: re.Match[str]) -> Any:
        """The type of an output that has attributes of its own."""
        if found[1].endswith("Map"):
            return ["map", _PLAIN[found[1].removeprefix("cdktf.").removesuffix("Map").lower()]]
        body = self._classes[f"{found[1].removesuffix('List').removesuffix('OutputReference')}OutputReference"]
        plain = {name: _type_read(kind) for kind, name in _READ_ONLY.findall(body)}
        inner = {each[2]: self._object(each) for each in _NESTED.finditer(body)}
        return ["set" if found[3] == "true" else "list", ["object", plain | inner]]

    def _writer(self, struct: str) -> str:
        found = re.search(
            rf"^function {struct[0].lower()}{struct[1:]}ToHclTerraform\(.*?^\}}$", self._code, re.M | re.S
        )
        return found[0] if found else ""


def _type(collection: str, kind: str) -> Any:
    """The type in Terraform's JSON notation."""
    element = _PLAIN[re.sub("(List|Map)$", "", kind)]
    return element if collection == "simple" else [collection, element]


def _type_read(kind: str) -> Any:
    for suffix, collection in (("List", "list"), ("Map", "map")):
        if kind.endswith(suffix):
            return [collection, _PLAIN[kind.removesuffix(suffix).lower() or "string"]]
    return _PLAIN[kind.lower()]


def used() -> Iterator[tuple[str, str]]:
    """The resources and data sources of Google in the roots and examples, as ("resource" or "data", type)."""
    for path in sorted([*ROOT.rglob("*.tf"), *EXAMPLES.rglob("*.tf")]):
        yield from re.findall(r'^(resource|data) "(google_\w+)"', path.read_text(), re.MULTILINE)


def cut(wheel: Path, wanted: set[tuple[str, str]]) -> dict[str, Any]:
    """The schemas of these resources and data sources, and what they were read from."""
    with zipfile.ZipFile(wheel) as archive:
        inner = next(name for name in archive.namelist() if name.endswith(".jsii.tgz"))
        packed = archive.read(inner)
    folders = {
        ("data-" if sort == "data" else "") + kind.removeprefix("google_").replace("_", "-"): (sort, kind)
        for sort, kind in wanted
    }
    folders |= {
        f"data-google-{kind.removeprefix('google_').replace('_', '-')}": (sort, kind)
        for sort, kind in wanted
        if sort == "data"
    }
    result: dict[str, Any] = {"from": Path(inner).name, "resource": {}, "data": {}}
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        for member in tar:
            parts = Path(member.name).parts
            if parts[-1] == "index.js" and parts[-2] in folders:
                sort, kind = folders[parts[-2]]
                content = tar.extractfile(member)
                assert content is not None
                result[sort][kind] = Bindings(content.read().decode()).schema(kind)
    return result


def main() -> None:
    wanted = set(used())
    result = cut(Path(sys.argv[1]), wanted)
    missing = [f"{sort} {kind}" for sort, kind in sorted(wanted) if kind not in result[sort]]
    if missing:
        raise SystemExit(f"the provider has no {', '.join(missing)}")
    RESULT.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
