"""Patches for moto: calls of Terraform's AWS provider that it lacks or answers wrongly, and loopback addresses."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from typing import Any

from moto.budgets.responses import BudgetsResponse
from moto.ec2.exceptions import EC2ClientError, InvalidPermissionNotFoundError
from moto.ec2.models import instances, subnets
from moto.ec2.models.launch_templates import LaunchTemplateBackend
from moto.ec2.models.security_groups import SecurityGroupBackend, SecurityGroupRule
from moto.iam.exceptions import NotFoundException
from moto.iam.models import IAMBackend

from localstack.network.namespace import next_address

_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")


def install() -> None:
    """Installs all patches."""
    BudgetsResponse.describe_subscribers_for_notification = _subscribers  # type: ignore[attr-defined]
    BudgetsResponse.list_tags_for_resource = _tags  # type: ignore[attr-defined]
    for name in ("revoke_security_group_egress", "revoke_security_group_ingress"):
        setattr(SecurityGroupBackend, name, _with_rule_ids(getattr(SecurityGroupBackend, name)))
    SecurityGroupRule.description = property(_description)  # type: ignore[method-assign, assignment]
    SecurityGroupBackend.modify_security_group_rules = _modify_rules  # type: ignore[method-assign]
    IAMBackend.remove_role_from_instance_profile = _remove_role  # type: ignore[method-assign]
    LaunchTemplateBackend.create_launch_template = _create_launch_template  # type: ignore[method-assign, assignment]
    _loopback_addresses()


def _subscribers(self: Any) -> str:
    """Budgets' DescribeSubscribersForNotification."""
    budget = self.backend.budgets[self._get_param("AccountId")][self._get_param("BudgetName")]
    wanted = self._get_param("Notification")
    found = next(each for each in budget.notifications if wanted.items() <= each.details.items())
    return json.dumps({"Subscribers": found.subscribers})


def _tags(self: Any) -> str:
    """Budgets' ListTagsForResource: every resource of this project has one tag."""
    name = self._get_param("ResourceARN").rpartition("/")[2]
    return json.dumps({"ResourceTags": [{"Key": "cloudlstm", "Value": name}]})


def _with_rule_ids(revoke: Callable[..., Any]) -> Callable[..., Any]:
    """Raises EC2's error, with their ids, for missing rules. Terraform revokes some rules twice."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return revoke(self, *args, **kwargs)
        except InvalidPermissionNotFoundError:
            ids = kwargs.get("security_rule_ids")
            if not ids:
                raise
            message = f"The security group rule IDs {ids} do not exist."
            raise EC2ClientError("InvalidSecurityGroupRuleId.NotFound", message) from None

    return call


def _description(self: SecurityGroupRule) -> str | None:
    """A rule's description; moto looks for that of a rule with addresses only."""
    return self.ip_range.get("Description") or self.source_group.get("Description")


_modify_rules_of_moto = SecurityGroupBackend.modify_security_group_rules


def _modify_rules(self: Any, group_id: str, rules: dict[str, dict[str, Any]]) -> None:
    """EC2's ModifySecurityGroupRules, also for rules without ports and for rules that name a group."""
    everything = {"FromPort": -1, "ToPort": -1}
    rules = {name: (everything | rule if rule.get("IpProtocol") == "-1" else rule) for name, rule in rules.items()}
    _modify_rules_of_moto(self, group_id, rules)
    for name, rule in rules.items():
        if "ReferencedGroupId" in rule:
            changed = self.get_security_group_from_id(group_id).get_rule(name)
            changed.ip_range = {}
            changed.source_group |= {"GroupId": rule["ReferencedGroupId"], "Description": rule.get("Description")}


_remove_role_of_moto = IAMBackend.remove_role_from_instance_profile


def _remove_role(self: Any, profile_name: str, role_name: str) -> None:
    """IAM's RemoveRoleFromInstanceProfile, also for a role that the profile lacks: Terraform may send it twice."""
    try:
        _remove_role_of_moto(self, profile_name, role_name)
    except ValueError:
        raise NotFoundException(f"Role {role_name} is not in instance profile {profile_name}.") from None


_create_launch_template_of_moto = LaunchTemplateBackend.create_launch_template


def _create_launch_template(self: Any, name: str, description: str, data: dict[str, Any], tags: dict[str, Any]) -> Any:
    """EC2's CreateLaunchTemplate: the template's own tags are none of those that its instances get."""
    specifications = [each for each in data.pop("TagSpecifications", []) if each["ResourceType"] != "launch-template"]
    if specifications:
        data["TagSpecifications"] = specifications
    return _create_launch_template_of_moto(self, name, description, data, tags)


def _loopback_addresses() -> None:
    """Subnets outside 127.0.0.0/8 give addresses of 127.64.0.0/10; those inside give their own.

    When these are used up, addresses of terminated instances are given again: moto keeps them.
    """
    of_subnet = subnets.Subnet.get_available_subnet_ip

    def get_available_subnet_ip(self: Any, instance: Any) -> str:
        if not self.cidr.overlaps(_LOOPBACK):
            return next_address()
        try:
            return of_subnet(self, instance)
        except StopIteration:
            pass
        for address, holder in list(self._subnet_ips.items()):
            if getattr(holder, "state", "") == "terminated":
                self.del_subnet_ip(address)
        try:
            return of_subnet(self, instance)
        except StopIteration:
            message = f"There are not enough free addresses in subnet '{self.id}' to satisfy the requested number of "
            message += "instances."
            raise EC2ClientError("InsufficientFreeAddressesInSubnet", message) from None

    subnets.Subnet.get_available_subnet_ip = get_available_subnet_ip  # type: ignore[method-assign]
    instances.random_private_ip = lambda *_, **__: next_address()  # type: ignore[attr-defined]
