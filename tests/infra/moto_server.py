"""moto's server with what Terraform asks for and moto lacks.  Usage: moto_server.py -H HOST -p PORT

Missing in moto 5.2.5: of EMR instance fleets, auto-termination, managed scaling and the ids of added instance groups; of
budgets subscribers and tags; the public parameters that name Deep Learning images; EC2's error for a rule that is gone;
conditions of a bucket policy, so that "deny what is not TLS" would deny everything.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from moto.budgets.responses import BudgetsResponse
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.exceptions import EC2ClientError, InvalidPermissionNotFoundError
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.emr.responses import ElasticMapReduceResponse
from moto.s3.models import FakeBucket
from moto.server import main
from moto.ssm.models import ParameterDict

_IMAGE = "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id"
_LIKE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"


def list_instance_fleets(self: ElasticMapReduceResponse) -> ActionResult:
    raise JsonRESTError("InvalidRequestException", "Instance fleets and instance groups are mutually exclusive.")


def add_instance_groups(self: ElasticMapReduceResponse) -> ActionResult:
    cluster = self._get_param("JobFlowId")
    groups = self.backend.add_instance_groups(cluster, self._get_param("InstanceGroups", []))
    return ActionResult({"JobFlowId": cluster, "InstanceGroupIds": [group.id for group in groups]})


def describe_subscribers_for_notification(self: BudgetsResponse) -> str:
    budget = self.backend.budgets[self._get_param("AccountId")][self._get_param("BudgetName")]
    asked = self._get_param("Notification")
    found = next(each for each in budget.notifications if asked.items() <= each.details.items())
    return json.dumps({"Subscribers": found.subscribers})


def list_tags_for_resource(self: BudgetsResponse) -> str:
    name = self._get_param("ResourceARN").rsplit("/", 1)[1]
    return json.dumps({"ResourceTags": [{"Key": "cloudlstm", "Value": name}]})


def _policy_of_cluster(kind: str) -> None:
    """Adds put, get and remove of one kind of policy that a cluster has at most once."""
    policies: dict[str, Any] = {}
    name = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind)

    def put(self: ElasticMapReduceResponse) -> EmptyResult:
        request = json.loads(self.body)
        policies[request["ClusterId"]] = request[kind]
        return EmptyResult()

    def get(self: ElasticMapReduceResponse) -> ActionResult:
        policy = policies.get(json.loads(self.body)["ClusterId"])
        return ActionResult({kind: policy} if policy else {})

    def remove(self: ElasticMapReduceResponse) -> EmptyResult:
        policies.pop(json.loads(self.body)["ClusterId"], None)
        return EmptyResult()

    for verb in (put, get, remove):
        setattr(ElasticMapReduceResponse, f"{verb.__name__}{name}", verb)


def _add_image_parameter() -> None:
    load = ParameterDict._check_loading_status

    def check(self: ParameterDict, key: str) -> None:
        load(self, key)
        if key == _IMAGE and _IMAGE not in self.keys():
            self[_IMAGE] = self[_LIKE]

    ParameterDict._check_loading_status = check


def _say_that_a_rule_is_gone() -> None:
    """Deleting two groups that name each other revokes some rules twice, and Terraform knows EC2's answer to that."""

    def wrapped(revoke: Any) -> Any:
        def call(self: SecurityGroupBackend, *args: Any, **kwargs: Any) -> None:
            try:
                revoke(self, *args, **kwargs)
            except InvalidPermissionNotFoundError:
                ids = kwargs.get("security_rule_ids")
                if not ids:
                    raise
                message = f"The security group rule IDs {ids} do not exist."
                raise EC2ClientError("InvalidSecurityGroupRuleId.NotFound", message) from None

        return call

    for name in ("revoke_security_group_egress", "revoke_security_group_ingress"):
        setattr(SecurityGroupBackend, name, wrapped(getattr(SecurityGroupBackend, name)))


def _evaluate_secure_transport() -> None:
    """This server stands in for one behind TLS."""
    permission = FakeBucket.get_permission

    def get_permission(self: FakeBucket, action: str, resource: str) -> Any:
        kept = self.policy
        if kept is not None:
            document = json.loads(kept)
            document["Statement"] = [
                statement
                for statement in document["Statement"]
                if statement.get("Condition") != {"Bool": {"aws:SecureTransport": "false"}}
            ]
            self.policy = json.dumps(document).encode() if document["Statement"] else None
        try:
            return permission(self, action, resource)
        finally:
            self.policy = kept

    FakeBucket.get_permission = get_permission


if __name__ == "__main__":
    ElasticMapReduceResponse.list_instance_fleets = list_instance_fleets
    ElasticMapReduceResponse.add_instance_groups = add_instance_groups
    BudgetsResponse.describe_subscribers_for_notification = describe_subscribers_for_notification
    BudgetsResponse.list_tags_for_resource = list_tags_for_resource
    _policy_of_cluster("AutoTerminationPolicy")
    _policy_of_cluster("ManagedScalingPolicy")
    _add_image_parameter()
    _say_that_a_rule_is_gone()
    _evaluate_secure_transport()
    main(sys.argv[1:])
