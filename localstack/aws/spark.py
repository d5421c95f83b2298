"""EMR's API: moto's, with the missing calls added, and with EMR's errors for invalid requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.emr import models, urls
from moto.emr.exceptions import InvalidCluster, InvalidRequestException, ValidationException
from moto.emr.responses import ElasticMapReduceResponse
from moto.emr.utils import EmrSecurityGroupManager

from localstack.aws.jobs import Step, end_cluster
from localstack.aws.nodes import Networking, NodeError, Nodes
from localstack.aws.roles import Roles

MAX_ACTIVE_STEPS = 256
"""The maximum number of waiting and running steps of a cluster."""

_READS = ("list_bootstrap_actions", "list_instance_groups", "list_instances", "list_steps", "modify_cluster")


def install(roles: Roles) -> None:
    """Replaces moto's classes and methods."""
    Response.roles = roles
    Response.nodes = Nodes(roles)
    models.ElasticMapReduceBackend.run_instances = _start_nodes  # type: ignore[method-assign]
    models.Cluster.terminate = _terminate  # type: ignore[method-assign]
    EmrSecurityGroupManager.manage_security_groups = _manage_groups  # type: ignore[method-assign]
    models.Step = Step  # type: ignore[misc, assignment]
    models.Cluster.add_steps = _add_steps  # type: ignore[method-assign]
    models.Cluster.status = property(_status)  # type: ignore[assignment]
    for name in _READS:
        setattr(Response, name, _of_known_cluster(getattr(ElasticMapReduceResponse, name)))
    urls.url_paths["{0}/$"] = Response.dispatch


def _of_known_cluster(method: Callable[[Any], ActionResult]) -> Callable[[Any], ActionResult]:
    def checked(self: Response) -> ActionResult:
        self.cluster()
        return method(self)

    return checked


_moto_status = models.Cluster.status.fget  # type: ignore[attr-defined]


def _status(self: models.Cluster) -> dict[str, Any]:
    status: dict[str, Any] = _moto_status(self)
    ended = str(self.state).startswith("TERMINAT")
    status["StateChangeReason"]["Code"] = getattr(self, "last_state_change_code", "USER_REQUEST" if ended else None)
    return status


def _start_nodes(
    self: models.ElasticMapReduceBackend,
    cluster_id: str,
    instances: dict[str, Any],  # noqa: ARG001 - the group has them
    instance_group: models.InstanceGroup,
) -> None:
    """Starts the nodes of a group of a new cluster."""
    Response.nodes.start(self.clusters[cluster_id], instance_group)


_manage_of_moto = EmrSecurityGroupManager.manage_security_groups


def _manage_groups(
    self: Any, master_security_group: str, slave_security_group: str, service_access_security_group: str
) -> Any:
    """Adds EMR's rules to the groups; to groups of the user not those of the service's ports, which they must have."""
    if service_access_security_group:
        for rules in ("MANAGED_RULES_EGRESS", "MANAGED_RULES_INGRESS"):
            setattr(self, rules, [rule for rule in getattr(self, rules) if rule["to_port"] not in (8443, 9443)])
    return _manage_of_moto(self, master_security_group, slave_security_group, service_access_security_group)


_terminate_of_moto = models.Cluster.terminate


def _terminate(self: models.Cluster) -> None:
    _terminate_of_moto(self)
    Response.nodes.end(self)


def _add_steps(self: models.Cluster, steps: list[dict[str, Any]]) -> list[Any]:
    """Adds steps as PENDING; the engine starts them."""
    added = [Step(**step) for step in steps]
    self.steps.extend(added)
    return added


class Response(ElasticMapReduceResponse):
    """EMR's actions."""

    roles: Roles
    nodes: Nodes

    def cluster(self) -> models.Cluster:
        """Returns the cluster of the request; raises InvalidRequestException if there is none."""
        name = self._get_param("ClusterId")
        if name not in self.backend.clusters:
            raise InvalidCluster(name)
        return self.backend.clusters[name]

    def _changeable(self, name: str) -> models.Cluster:
        """Returns the cluster with this id; raises ValidationException if it does not exist or has ended."""
        if name not in self.backend.clusters:
            raise ValidationException("Specified job flow ID does not exist.")
        cluster = self.backend.clusters[name]
        if str(cluster.state).startswith("TERMINAT"):
            raise ValidationException("A job flow that is shutting down, terminated, or finished may not be modified.")
        return cluster

    def run_job_flow(self) -> ActionResult:
        """Makes a cluster. One that EMR cannot start ends at once, with the reason in its state, as on AWS."""
        self._check_profile()
        known = set(self.backend.clusters)
        failure: NodeError | None = None
        try:
            self._networking().check(self.backend.ec2_backend, self.roles)
        except NodeError as error:
            failure = error
        try:
            answer = super().run_job_flow()
        except NodeError as error:
            failure = failure or error
            (name,) = self.backend.clusters.keys() - known
            answer = ActionResult({"JobFlowId": name, "ClusterArn": self.backend.clusters[name].arn})
        cluster = self.backend.clusters[answer.result["JobFlowId"]]  # type: ignore[index]
        cluster.auto_termination_policy = self._plain("AutoTerminationPolicy")  # type: ignore[attr-defined]
        cluster.managed_scaling_policy = self._plain("ManagedScalingPolicy")  # type: ignore[attr-defined]
        replaced = self._get_bool_param("Instances.UnhealthyNodeReplacement")
        cluster.unhealthy_node_replacement = bool(replaced)  # type: ignore[attr-defined]
        self.nodes.tag(cluster)
        if failure:
            end_cluster(cluster, "TERMINATED_WITH_ERRORS", failure.code, str(failure))
            self.nodes.end(cluster)
        return answer

    def _check_profile(self) -> None:
        """Raises EMR's errors for an instance profile or a role that IAM does not know everywhere yet."""
        profile, role = self._get_param("JobFlowRole"), self._get_param("ServiceRole")
        if profile and not self.roles.known(self.current_account, profile, "profile"):
            raise ValidationException(f"Invalid InstanceProfile: {profile}.")
        if role and not self.roles.known(self.current_account, role, "role"):
            raise ValidationException(f"Service role {role} has insufficient EC2 permissions")

    def _networking(self) -> Networking:
        names = {"primary": "EmrManagedMasterSecurityGroup", "node": "EmrManagedSlaveSecurityGroup",
                 "service": "ServiceAccessSecurityGroup", "subnet": "Ec2SubnetId"}  # fmt: skip
        found = {part: str(self._get_param(f"Instances.{name}") or "") for part, name in names.items()}
        role = str(self._get_param("ServiceRole") or "")
        return Networking(release=str(self._get_param("ReleaseLabel") or ""), role=role, **found)

    def add_instance_groups(self) -> ActionResult:
        """Adds groups. One whose nodes do not start is ARRESTED, with the reason in its state."""
        cluster = self._changeable(self._get_param("JobFlowId"))
        added = self.backend.add_instance_groups(cluster.id, self._get_param("InstanceGroups", []))
        for group in added:
            try:
                self.nodes.start(cluster, group)
            except NodeError as error:
                group.state = "ARRESTED"
                group.state_change_reason = f"{error.code}: {error}"  # type: ignore[attr-defined]
        self.nodes.tag(cluster)
        return ActionResult({"JobFlowId": cluster.id, "InstanceGroupIds": [group.id for group in added]})

    def add_job_flow_steps(self) -> ActionResult:
        cluster = self._changeable(self._get_param("JobFlowId"))
        active = sum(step.state not in Step.ENDED for step in cluster.steps)
        if active + len(self._get_param("Steps", [])) > MAX_ACTIVE_STEPS:
            raise ValidationException(
                "Maximum number of active steps(State = 'Running', 'Pending' or 'Cancel_Pending') for cluster exceeded."
            )
        return super().add_job_flow_steps()

    def terminate_job_flows(self) -> ActionResult:
        for name in self._get_param("JobFlowIds"):
            if name not in self.backend.clusters:
                raise ValidationException("Specified job flow ID not valid.")
        return super().terminate_job_flows()

    def describe_step(self) -> ActionResult:
        return ActionResult({"Step": self._step(self._get_param("StepId"))})

    def _step(self, name: str) -> Step:
        for step in self.cluster().steps:
            if step.id == name:
                return step  # type: ignore[return-value]
        raise InvalidRequestException(f"Step id '{name}' is not valid.")

    def cancel_steps(self) -> ActionResult:
        option = self._get_param("StepCancellationOption") or "SEND_INTERRUPT"
        cluster = self._changeable(self._get_param("ClusterId"))
        known = {step.id: step for step in cluster.steps}
        results = []
        for name in self._get_param("StepIds", []):
            reason = "Step not found." if name not in known else known[name].cancel(option)  # type: ignore[attr-defined]
            results.append({"StepId": name, "Status": "FAILED" if reason else "SUBMITTED", "Reason": reason or None})
        return ActionResult({"CancelStepsInfoList": results})

    def list_instance_fleets(self) -> ActionResult:
        self.cluster()
        raise InvalidRequestException("Instance fleets and instance groups are mutually exclusive.")

    def put_auto_termination_policy(self) -> ActionResult:
        cluster = self._changeable(self.cluster().id)
        cluster.auto_termination_policy = self._plain("AutoTerminationPolicy")  # type: ignore[attr-defined]
        return EmptyResult()

    def get_auto_termination_policy(self) -> ActionResult:
        return ActionResult({"AutoTerminationPolicy": getattr(self.cluster(), "auto_termination_policy", None)})

    def remove_auto_termination_policy(self) -> ActionResult:
        self.cluster().auto_termination_policy = None  # type: ignore[attr-defined]
        return EmptyResult()

    def set_unhealthy_node_replacement(self) -> ActionResult:
        for name in self._get_param("JobFlowIds", []):
            cluster = self._changeable(name)
            cluster.unhealthy_node_replacement = self._get_bool_param("UnhealthyNodeReplacement")  # type: ignore[attr-defined]
        return EmptyResult()

    def put_managed_scaling_policy(self) -> ActionResult:
        cluster = self._changeable(self.cluster().id)
        cluster.managed_scaling_policy = self._plain("ManagedScalingPolicy")  # type: ignore[attr-defined]
        return EmptyResult()

    def get_managed_scaling_policy(self) -> ActionResult:
        return ActionResult({"ManagedScalingPolicy": getattr(self.cluster(), "managed_scaling_policy", None)})

    def remove_managed_scaling_policy(self) -> ActionResult:
        self.cluster().managed_scaling_policy = None  # type: ignore[attr-defined]
        return EmptyResult()

    def _plain(self, name: str) -> dict[str, Any] | None:
        """Returns a structure of the request as a dictionary with the service's names."""
        value = self._get_param(name)
        return value.original_dict() if value is not None else None
