"""A response of a proxy between us and the cloud is not an answer; the request is repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cloudlstm.errors import TargetError, TargetUnavailableError
from cloudlstm.targets.aws import client as aws_client
from cloudlstm.targets.document import TargetConfig
from cloudlstm.targets.gcp import client as gcp_client
from cloudlstm.targets.polling import Intervals, Poller, retry_unavailable
from targets.foreign_server import ForeignServer
from targets.test_requests import AWS, GCP

PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>to the Wi-Fi</body></html>"
WELL_FORMED = b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title></head></html>'
PAGES = {
    "page": (200, PAGE),
    "well-formed page": (200, WELL_FORMED),
    "nothing": (200, b""),
    "redirect": (302, PAGE),
    "bare redirect": (302, b""),
    "page of a busy proxy": (503, PAGE),
    "busy proxy": (503, b"upstream connect error or disconnect/reset before headers"),
    "a proxy's refusal": (403, PAGE),
}
GROUP = b"""<DescribeAutoScalingGroupsResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/">
<DescribeAutoScalingGroupsResult><AutoScalingGroups/></DescribeAutoScalingGroupsResult>
<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></DescribeAutoScalingGroupsResponse>"""
IDENTITY = b"""<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Account>1</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"""
MACHINES = b"""<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>1</requestId><reservationSet/>
</DescribeInstancesResponse>"""
RESIZED = b"""<SetDesiredCapacityResponse xmlns="http://autoscaling.amazonaws.com/doc/2011-01-01/"><ResponseMetadata/>
</SetDesiredCapacityResponse>"""
SIZE = {"AutoScalingGroupName": "x", "DesiredCapacity": 0}
CALLS: dict[str, tuple[str, str, dict[str, Any], Any]] = {
    "autoscaling": ("autoscaling", "DescribeAutoScalingGroups", {}, GROUP),
    "a resize": ("autoscaling", "SetDesiredCapacity", SIZE, RESIZED),
    "sts": ("sts", "GetCallerIdentity", {}, IDENTITY),
    "ec2": ("ec2", "DescribeInstances", {}, MACHINES),
    "emr": ("emr", "DescribeCluster", {"ClusterId": "j-1"}, {"Cluster": {"Id": "j-1"}}),
    "tags": ("resourcegroupstaggingapi", "GetResources", {}, {"ResourceTagMappingList": []}),
}
"""Protocols: autoscaling and sts speak query, ec2 its own XML, the others JSON."""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[ForeignServer]:
    for name, value in {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(aws_client, "_MAX_ATTEMPTS", 1)
    monkeypatch.setattr(gcp_client, "_RETRY_LIMIT_S", 0.0)
    made = ForeignServer()
    with made.serving():
        yield made


def call(service: ForeignServer, name: str) -> Callable[[], dict[str, Any]]:
    api, action, arguments, _ = CALLS[name]
    target = TargetConfig.model_validate(AWS | {"endpoints": {api: service.url}})
    return lambda: aws_client.AwsApi(api, target).call(action, **arguments)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("name", CALLS)
def test_a_web_page_is_not_an_answer_of_aws(service: ForeignServer, name: str, page: str) -> None:
    status, body = PAGES[page]
    service.answer("POST ", body, status=status)
    with pytest.raises(TargetUnavailableError, match=f"cannot call {CALLS[name][1]} of {CALLS[name][0]}: ") as caught:
        call(service, name)()
    assert "\n" not in caught.value.message
    assert "<" not in caught.value.message
    if page == "page":
        assert "the answer does not come from the service: HTTP 200, text/html 'Sign in'" in caught.value.message


@pytest.mark.parametrize("name", CALLS)
def test_a_truncated_answer_of_aws_is_an_error(service: ForeignServer, name: str) -> None:
    whole = CALLS[name][3]
    service.answer("POST ", whole[: len(whole) // 2] if isinstance(whole, bytes) else b'{"Cluster": {"Id": "j-')
    with pytest.raises(TargetUnavailableError):
        call(service, name)()


@pytest.mark.parametrize("name", CALLS)
def test_a_call_of_aws_is_repeated_after_a_foreign_answer(
    service: ForeignServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.answer("POST ", PAGE, WELL_FORMED, b"", CALLS[name][3])
    answer = retry_unavailable(call(service, name), 30.0, Intervals(first_pause_s=0.01))
    assert len(service.asked) == 4
    assert set(answer) > {"ResponseMetadata"} or name == "a resize"


def test_a_web_page_as_an_answer_does_not_end_a_job(service: ForeignServer, monkeypatch: pytest.MonkeyPatch) -> None:
    service.answer("POST ", PAGE, CALLS["emr"][3])
    look = Poller(call(service, "emr"), Intervals(first_poll_s=0.0))
    assert look() is None
    found = look()
    assert found is not None
    assert found["Cluster"] == {"Id": "j-1"}


@pytest.mark.parametrize("name", ["emr", "autoscaling", "ec2"])
def test_a_refusal_by_aws_is_not_repeated(service: ForeignServer, name: str) -> None:
    xml = b"<Errors><Error><Code>AccessDenied</Code><Message>no</Message></Error></Errors>"
    single = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
    reply = {"emr": {"__type": "AccessDeniedException", "message": "no"},
            "autoscaling": b"<ErrorResponse>" + single + b"</ErrorResponse>",
            "ec2": b"<Response>" + xml + b"</Response>"}  # fmt: skip
    service.answer("POST ", reply[name], status=400)
    with pytest.raises(TargetError, match=r"no \(AccessDenied") as caught:
        call(service, name)()
    assert not isinstance(caught.value, TargetUnavailableError)


@pytest.mark.parametrize("page", PAGES)
def test_a_web_page_is_not_an_answer_of_google(service: ForeignServer, page: str) -> None:
    status, body = PAGES[page]
    for what in ("GET ours", "POST resize"):
        service.answer(what, body, status=status)
    target = TargetConfig.model_validate(GCP | {"endpoints": {"dataproc": service.url, "compute": service.url}})
    where = {"project": "p", "region": "r", "instance_group_manager": "ours"}
    clusters = gcp_client.GcpApi("dataproc", "ClusterController", target)
    groups = gcp_client.GcpApi("compute", "RegionInstanceGroupManagers", target)
    calls: list[Callable[[], Any]] = [
        lambda: clusters.call("get_cluster", project_id="p", region="r", cluster_name="ours"),
        lambda: groups.call("get", **where),
        lambda: groups.call("resize", **where, size=0),
    ]
    for asked in calls:
        with pytest.raises(TargetError) as caught:
            asked()
        refused = page == "a proxy's refusal"  # Google's own refusals may be pages
        assert isinstance(caught.value, TargetUnavailableError) is not refused
        assert "\n" not in caught.value.message


def test_a_truncated_answer_of_google_is_an_error(service: ForeignServer) -> None:
    service.answer("GET ours", b'{"clusterName": "ou')
    target = TargetConfig.model_validate(GCP | {"endpoints": {"dataproc": service.url}})
    clusters = gcp_client.GcpApi("dataproc", "ClusterController", target)
    with pytest.raises(TargetUnavailableError):
        clusters.call("get_cluster", project_id="p", region="r", cluster_name="ours")
