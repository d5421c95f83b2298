"""The schema of Google's provider that the tests use: it covers the roots, and is read correctly from the package."""

from __future__ import annotations

import json

from infra.provider_schema import RESULT, Bindings, used


def test_the_schema_covers_what_the_roots_and_examples_use() -> None:
    schema = json.loads(RESULT.read_text())
    assert {(sort, kind) for sort in ("resource", "data") for kind in schema[sort]} == set(used())


GENERATED = """
class ThingRuleOutputReference extends cdktf.ComplexObject {
    get id() {
        return this.getStringAttribute('id');
    }
    resetId() {
        this._id = undefined;
    }
}
class ThingStatusOutputReference extends cdktf.ComplexObject {
    constructor(terraformResource, terraformAttribute, complexObjectIndex, complexObjectIsFromSet) {
        this._labels = new cdktf.StringMap(this, "labels");
    }
    get isStable() {
        return this.getBooleanAttribute('is_stable');
    }
}
class ThingStatusList extends cdktf.ComplexList {
}
class Thing extends cdktf.TerraformResource {
    constructor(scope, id, config) {
        this._status = new ThingStatusList(this, "status", false);
        super(scope, id, { terraformResourceType: 'google_thing' });
        this._rule = new ThingRuleList(this, "rule", true);
        this._one = new ThingRuleOutputReference(this, "one");
    }
    get selfLink() {
        return this.getStringAttribute('self_link');
    }
    resetMyZones() {
        this._myZones = undefined;
    }
    resetOne() {
        this._one.internalValue = undefined;
    }
    synthesizeHclAttributes() {
        const attrs = {
            my_zones: {
                value: cdktf.listMapperHcl(cdktf.stringToHclTerraform, false)(this._myZones),
                isBlock: false,
                type: "set",
                storageClassType: "stringList",
            },
            size: {
                value: cdktf.numberToHclTerraform(this._size),
                isBlock: false,
                type: "simple",
                storageClassType: "number",
            },
            rule: {
                value: cdktf.listMapperHcl(thingRuleToHclTerraform, true)(this._rule.internalValue),
                isBlock: true,
                type: "set",
                storageClassType: "ThingRuleList",
            },
            one: {
                value: thingRuleToHclTerraform(this._one.internalValue),
                isBlock: true,
                type: "list",
                storageClassType: "ThingRuleList",
            },
        };
    }
}
function thingRuleToHclTerraform(struct) {
    const attrs = {
        id: {
            value: cdktf.stringToHclTerraform(struct.id),
            isBlock: false,
            type: "simple",
            storageClassType: "string",
        },
    };
}
"""


def test_bindings_are_parsed_correctly() -> None:
    inner = {"attributes": {"id": {"type": "string", "how": "optional"}}, "blocks": {}}
    assert Bindings(GENERATED).schema("google_thing") == {
        "attributes": {
            "my_zones": {"type": ["set", "string"], "how": "optional"},
            "size": {"type": "number", "how": "required"},
            "self_link": {"type": "string", "how": "computed"},
            "status": {
                "type": ["list", ["object", {"is_stable": "bool", "labels": ["map", "string"]}]],
                "how": "computed",
            },
        },
        "blocks": {
            "rule": {"nesting": "set", "min": 1, "max": 0, **inner},
            "one": {"nesting": "list", "min": 0, "max": 1, **inner},
        },
    }
