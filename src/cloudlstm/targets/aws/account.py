"""The AWS account of a target: credentials, quotas and tagged resources."""

from __future__ import annotations

import re
from typing import Any

from cloudlstm.errors import TargetError, TargetUnavailableError
from cloudlstm.targets import preflight
from cloudlstm.targets.aws.client import AwsApi
from cloudlstm.targets.aws.quotas import Ec2Quotas, code_of, pages
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.polling import retry_unavailable
from cloudlstm.targets.services import Resource

_GONE = {"shutting-down", "terminated"}
"""States of instances that EC2 still lists for an hour after their end."""

_LISTED = re.compile(r"arn:[^:]*:(ec2:.*:instance/|s3:::)")
"""ARNs of instances and buckets, which have lines of their own."""

_LISTED_TOO = re.compile(r"arn:[^:]*:ec2:.*:(vpc-endpoint|elastic-ip)/")
"""ARNs of endpoints and addresses, which have lines if the credentials may list them."""

_FREE = re.compile(
    r"arn:[^:]*:(ec2:.*:(vpc|subnet|route-table|security-group|security-group-rule|internet-gateway|launch-template"
    r"|network-interface|network-acl|dhcp-options|spot-instances-request)/"
    r"|(iam|autoscaling|budgets|elasticmapreduce|resource-groups):)"
)
"""ARNs of what costs nothing by itself, as a cluster, whose nodes cost money."""

_GROUP = "aws:autoscaling:groupName"
"""Tag of an instance with the name of its group."""

_CLUSTER = "aws:elasticmapreduce:job-flow-id"
"""Tag of an instance with the id of its cluster."""


class AwsAccount:
    """The account of a target on AWS."""

    def __init__(self, target: TargetConfig) -> None:
        self._target = target

    def credentials(self) -> str:
        identity = AwsApi("sts", self._target).call("GetCallerIdentity")
        if identity["Account"] != self._target.account:
            raise TargetError(
                f"the credentials are of account {identity['Account']}, the target is in {self._target.account}",
                hint="set AWS_PROFILE to one of the target's account",
            )
        return str(identity["Arn"])

    def quota(self, workers: int) -> str:
        """Checks what the quota of the trainers' class and market leaves free for those that do not run yet.

        The cluster's nodes may count for the same quota: what they may still take is told, too.
        """
        target, quotas = self._target, Ec2Quotas(self._target)
        try:
            here = sum(each.tags.get(_GROUP) == target.trainer_group for each in quotas.running())
            missing = max(workers - here, 0)
            code = code_of(target.trainer_machines[0], spot=target.trainer_spot)
            wanted = missing * min(quotas.vcpus(each) for each in target.trainer_machines)
            free = max(quotas.limit(code) - quotas.used(code), 0)
            spark = self._spark(quotas)
        except TargetUnavailableError:
            raise
        except TargetError as error:
            return f"EC2's quotas cannot be read ({error.message})"
        unit = f"vCPUs free in {target.region} (quota {code})"
        found = preflight.quota(wanted, free, missing, unit, "ask for more under Service Quotas, Amazon EC2")
        return f"{found}; {spark}"

    def _spark(self, quotas: Ec2Quotas) -> str:
        """Returns what the cluster may still take when it grows to its largest, and what is free for it."""
        target = self._target
        nodes = [each for each in quotas.running() if _CLUSTER in each.tags]
        ours = [each for each in nodes if each.tags.get("cloudlstm") == target.name]
        here = sum(each.spot == target.spark_spot for each in ours)
        largest = target.spark_max_nodes - target.spark_min_nodes if target.spark_spot else 1 + target.spark_max_nodes
        code = code_of(target.spark_machine, spot=target.spark_spot)
        more = max(largest - here, 0) * quotas.vcpus(target.spark_machine)
        free = max(quotas.limit(code) - quotas.used(code), 0)
        return f"Spark may take {more} more of quota {code}, which has {free} free"

    def tagged(self) -> list[Resource]:
        """Returns what has the tag `cloudlstm` with the target's name: machines, endpoints, addresses, other ARNs."""
        machines = [each for each in self._instances() if each["State"]["Name"] not in _GONE]
        lines = [
            Resource(
                f"instance {each['InstanceId']} in {each['Placement']['AvailabilityZone']}: {each['State']['Name']}",
                "costs",
            )
            for each in machines
        ]
        tag = [{"Key": "cloudlstm", "Values": [self._target.name]}]
        tagging = AwsApi("resourcegroupstaggingapi", self._target)
        found = pages(tagging, "GetResources", "PaginationToken", "ResourceTagMappingList", TagFilters=tag)
        arns = sorted(str(each["ResourceARN"]) for each in found)
        arns = [arn for arn in arns if not _LISTED.match(arn)]
        try:
            lines += self._endpoints_and_addresses()
        except TargetUnavailableError:
            raise
        except TargetError:  # the role of an older root may not list them
            pass
        else:
            arns = [arn for arn in arns if not _LISTED_TOO.match(arn)]
        return lines + [Resource(arn, "free" if _FREE.match(arn) else "costs") for arn in arns]

    def _endpoints_and_addresses(self) -> list[Resource]:
        """Returns the network's resources that cost money or do not by their kind, which an ARN does not tell."""
        ec2, ours = AwsApi("ec2", self._target), [{"Name": "tag:cloudlstm", "Values": [self._target.name]}]
        found = []
        for each in pages(ec2, "DescribeVpcEndpoints", "NextToken", "VpcEndpoints", Filters=ours):
            kind = each["VpcEndpointType"].lower()
            text = f"{kind} endpoint {each['VpcEndpointId']} of {each['ServiceName']}: {each['State']}"
            found.append(Resource(text, "free" if kind == "gateway" else "costs"))
        addresses = retry_unavailable(lambda: ec2.call("DescribeAddresses", Filters=ours)).get("Addresses", ())
        return found + [Resource(f"Elastic IP {each['PublicIp']}", "costs") for each in addresses]

    def _instances(self) -> list[dict[str, Any]]:
        filters = [{"Name": "tag:cloudlstm", "Values": [self._target.name]}]
        found = pages(AwsApi("ec2", self._target), "DescribeInstances", "NextToken", "Reservations", Filters=filters)
        return [each for reservation in found for each in reservation["Instances"]]
