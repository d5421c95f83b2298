"""IAM as other services see it: roles that they do not know yet, and roles that AWS makes for a service."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

from moto.core.utils import utcnow
from moto.iam import models
from moto.iam.exceptions import NotFoundException

from localstack.server.faults import Faults

SPOT_ROLE = "AWSServiceRoleForEC2Spot"
"""The service-linked role without which EC2 starts no instance of the spot market."""

_SPOT = "spot.amazonaws.com"


class Roles:
    """Roles and instance profiles.

    Args:
        faults: The faults that can happen.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        models.SERVICE_NAME_CONVERSION["spot"] = "EC2Spot"

    def known(self, account: str, name: str, kind: str) -> bool:
        """True if services already know a role or an instance profile.

        Args:
            account: The account.
            name: Its name or ARN.
            kind: "role" or "profile".
        """
        iam, last = _iam(account), name.rpartition("/")[2]
        try:
            found: Any = iam.get_role(last) if kind == "role" else iam.get_instance_profile(last)
        except NotFoundException:
            return False
        delay = max((fault.after_s for fault in self._faults.lasting("iam-propagation")), default=0.0)
        parts = [found, *(found.roles if kind == "profile" else ())]
        return all((utcnow() - each.create_date).total_seconds() >= delay for each in parts)

    def spot_allowed(self, account: str, role: str | None) -> bool:
        """Makes the role of the spot market if it is missing; False if the caller may not make it.

        Args:
            account: The account.
            role: The role of the caller; None if the caller may do everything.
        """
        iam = _iam(account)
        if any(each.name == SPOT_ROLE for each in iam.roles.values()):
            return True
        path = f"arn:aws:iam::{account}:role/aws-service-role/{_SPOT}/{SPOT_ROLE}"
        if role is not None and not self.allows(account, role, "iam:CreateServiceLinkedRole", path):
            return False
        iam.create_service_linked_role(_SPOT, "", "")
        return True

    def allows(self, account: str, role: str, action: str, resource: str = "*") -> bool:
        """True if a policy of a role allows an action on a resource. Conditions are not looked at."""
        try:
            found = _iam(account).get_role(role.rpartition("/")[2])
        except NotFoundException:
            return False
        attached = [version for each in found.managed_policies.values() for version in each.versions]
        for document in [*found.policies.values(), *(each.document for each in attached if each.is_default)]:
            statements = json.loads(document)["Statement"]
            for statement in statements if isinstance(statements, list) else [statements]:
                if (
                    statement["Effect"] == "Allow"
                    and _matches(statement.get("Action", []), action.lower())
                    and (resource == "*" or _matches(statement.get("Resource", []), resource.lower()))
                ):
                    return True
        return False


def _iam(account: str) -> Any:
    return models.iam_backends[account]["aws"]


def _matches(patterns: str | list[str], name: str) -> bool:
    return any(fnmatchcase(name, each.lower()) for each in ([patterns] if isinstance(patterns, str) else patterns))
