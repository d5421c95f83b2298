"""Patches for moto: calls of Terraform's AWS provider that it lacks or answers wrongly, and loopback addresses."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable
from typing import Any

from moto.budgets.responses import BudgetsResponse
from moto.ec2.exceptions import EC2ClientError, InvalidPermissionNotFoundError
from moto.ec2.models import instances, subnets
from moto.ec2.models.security_groups import SecurityGroupBackend

from localstack.network.namespace import next_address

_LOOPBACK = ipaddress.ip_network("127.0.0.0/8")


def install() -> None:
    """Installs all patches."""
    BudgetsResponse.describe_subscribers_for_notification = _subscribers  # type: ignore[attr-defined]
    BudgetsResponse.list_tags_for_resource = _tags  # type: ignore[attr-defined]
    for name in ("revoke_security_group_egress", "revoke_security_group_ingress"):
        setattr(SecurityGroupBackend, name, _with_rule_ids(getattr(SecurityGroupBackend, name)))
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


def _loopback_addresses() -> None:
    """Subnets outside 127.0.0.0/8 give addresses of 127.64.0.0/10; those inside give their own."""
    of_subnet = subnets.Subnet.get_available_subnet_ip

    def get_available_subnet_ip(self: Any, instance: Any) -> str:
        return of_subnet(self, instance) if self.cidr.overlaps(_LOOPBACK) else next_address()

    subnets.Subnet.get_available_subnet_ip = get_available_subnet_ip  # type: ignore[method-assign]
    instances.random_private_ip = lambda *_, **__: next_address()  # type: ignore[attr-defined]
