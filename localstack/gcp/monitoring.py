"""The emulated Cloud Monitoring: points of custom metrics, and what the service refuses of them.

It has no gRPC and no descriptors: a metric exists as soon as it has a point. The rules are those of
`projects.timeSeries.create`: at most 200 series a request with one point each, points in order, one point every
5 seconds for a series, end times from 25 hours ago to 5 minutes ahead, and labels that the monitored resource has.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from localstack.gcp.api import Call, Document, Method, Refusal, page

MOST_SERIES = 200
OLDEST, NEWEST = dt.timedelta(hours=25), dt.timedelta(minutes=5)
EVERY = dt.timedelta(seconds=5)
_MOST_LABELS = 30
_LONGEST_LABEL = 1024
_TYPE = re.compile(r"custom\.googleapis\.com/[A-Za-z0-9_./-]{1,170}")
_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
RESOURCES = {
    "global": {"project_id"},
    "generic_task": {"project_id", "location", "namespace", "job", "task_id"},
    "generic_node": {"project_id", "location", "namespace", "node_id"},
}
_VALUES = {"DOUBLE": "doubleValue", "INT64": "int64Value", "BOOL": "boolValue"}
_FILTER = re.compile(r'^\s*metric\.type\s*=\s*"([^"]+)"\s*$')


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a series."""

    at: dt.datetime
    value: float


@dataclass(frozen=True, slots=True)
class Series:
    """Which series a point belongs to.

    Attributes:
        metric: Type of the metric.
        labels: Labels of the metric, sorted.
        resource: Type of the monitored resource.
        place: Labels of the resource, sorted.
    """

    metric: str
    labels: tuple[tuple[str, str], ...]
    resource: str
    place: tuple[tuple[str, str], ...]


class Monitoring:
    """Cloud Monitoring of one project.

    Args:
        project: The project's id.
        now: Tells the time.
    """

    def __init__(self, project: str, now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)) -> None:
        self._project, self._now = project, now
        self.points: dict[Series, list[Point]] = {}

    def methods(self) -> Iterable[Method]:
        url = "/v3/projects/<project>/timeSeries"
        yield Method("monitoring", "TimeSeries.Create", "POST", url, self._create)
        yield Method("monitoring", "TimeSeries.List", "GET", url, self._list)

    def _create(self, call: Call) -> Document:
        if call["project"] != self._project:
            raise Refusal(403, f"Permission denied on resource project {call['project']}.")
        given = call.body.get("timeSeries")
        if not isinstance(given, list) or not given:
            raise Refusal(400, "Field timeSeries had an invalid value: at least one TimeSeries must be specified.")
        if len(given) > MOST_SERIES:
            raise Refusal(400, f"Field timeSeries had an invalid value of size {len(given)}: at most {MOST_SERIES}.")
        taken: dict[Series, Point] = {}
        wrong = []
        for number, each in enumerate(given):
            try:
                series, point = self._read(each, number)
                if series in taken:
                    raise _Wrong(
                        f"Field timeSeries[{number}] had an invalid value: Duplicate TimeSeries encountered. "
                        "Only one point can be written per TimeSeries per request."
                    )
                self._check_order(series, point)
                taken[series] = point
            except _Wrong as error:
                wrong.append(f"{error}: timeSeries[{number}]")
        for series, point in taken.items():  # as the service does, the others are written
            self.points.setdefault(series, []).append(point)
        if wrong:
            raise Refusal(400, f"One or more TimeSeries could not be written: {'; '.join(wrong)}")
        return {}

    def _read(self, each: Mapping[str, Any], number: int) -> tuple[Series, Point]:
        place = f"Field timeSeries[{number}]"
        metric, resource, points = each.get("metric", {}), each.get("resource", {}), each.get("points", [])
        kind, labels = str(metric.get("type", "")), metric.get("labels", {})
        if not _TYPE.fullmatch(kind):
            raise _Wrong(f"{place}.metric.type had an invalid value of {kind!r}")
        if len(labels) > _MOST_LABELS or not all(_LABEL.fullmatch(key) for key in labels):
            raise _Wrong(f"{place}.metric.labels had an invalid value")
        if any(not isinstance(value, str) or len(value) > _LONGEST_LABEL for value in labels.values()):
            raise _Wrong(f"{place}.metric.labels had an invalid value")
        wanted = RESOURCES.get(str(resource.get("type", "")))
        own = resource.get("labels", {})
        if wanted is None:
            raise _Wrong(f"{place}.resource.type had an invalid value of {resource.get('type')!r}")
        if set(own) - wanted or wanted - set(own) - {"project_id"}:
            raise _Wrong(f"{place}.resource.labels had an invalid value: {sorted(wanted)} are its labels")
        if own.get("project_id", self._project) != self._project:
            raise _Wrong(f"{place}.resource.labels had an invalid value: another project")
        if each.get("metricKind", "GAUGE") != "GAUGE":
            raise _Wrong(f"{place}.metricKind: this emulator takes GAUGE only")
        if len(points) != 1:
            raise _Wrong(
                f"{place}.points had an invalid value: Only one point can be written per TimeSeries per request."
            )
        series = Series(kind, tuple(sorted(labels.items())), resource["type"], tuple(sorted(own.items())))
        return series, self._point(points[0], str(each.get("valueType", "DOUBLE")), place)

    def _point(self, given: Mapping[str, Any], kind: str, place: str) -> Point:
        interval, value = given.get("interval", {}), given.get("value", {})
        try:
            at = dt.datetime.fromisoformat(interval["endTime"])
            start = dt.datetime.fromisoformat(interval.get("startTime", interval["endTime"]))
            number = float(value[_VALUES[kind]])
        except (KeyError, ValueError, TypeError):
            raise _Wrong(f"{place}.points[0] had an invalid value") from None
        if number != number or number in (float("inf"), float("-inf")):
            raise _Wrong(f"{place}.points[0].value had an invalid value")
        if start != at:
            raise _Wrong(
                f"{place}.points[0].interval.start_time had an invalid value: a GAUGE has its end time or none"
            )
        now = self._now()
        if at > now + NEWEST:
            raise _Wrong(f"{place}.points[0].interval.end_time had an invalid value: it is more than 5 minutes ahead")
        if at < now - OLDEST:
            raise _Wrong(f"{place}.points[0].interval.end_time had an invalid value: it is older than 25 hours")
        return Point(at, number)

    def _check_order(self, series: Series, point: Point) -> None:
        known = self.points.get(series)
        if not known:
            return
        if point.at <= known[-1].at:
            raise _Wrong(
                "Points must be written in order. One or more of the points specified had an older end time than the "
                "most recent point."
            )
        if point.at < known[-1].at + EVERY:
            raise _Wrong(
                "One or more points were written more frequently than the maximum sampling period configured for the "
                "metric."
            )

    def _list(self, call: Call) -> Document:
        wanted = _FILTER.match(call.query.get("filter", ""))
        if not wanted:
            raise Refusal(400, 'This emulator takes filters of the form metric.type="TYPE" only.')
        begin, end = (call.query.get(f"interval.{name}") for name in ("startTime", "endTime"))
        if end is None:
            raise Refusal(400, "Field interval.end_time had an invalid value: it is required.")
        low = dt.datetime.fromisoformat(begin or end)
        high = dt.datetime.fromisoformat(end)
        found = [
            {
                "metric": {"type": series.metric, "labels": dict(series.labels)},
                "resource": {"type": series.resource, "labels": dict(series.place)},
                "metricKind": "GAUGE",
                "valueType": "DOUBLE",
                "points": [
                    {
                        "interval": {"startTime": _text(each.at), "endTime": _text(each.at)},
                        "value": {"doubleValue": each.value},
                    }
                    for each in reversed(points)  # the newest first
                    if low <= each.at <= high
                ],
            }
            for series, points in self.points.items()
            if series.metric == wanted[1]
        ]
        items, token = page([each for each in found if each["points"]], call, "pageSize", 100_000)
        return {"timeSeries": items} | ({"nextPageToken": token} if token else {})


class _Wrong(Exception):  # noqa: N818 - it is an answer
    """Why one series was not written."""


def _text(at: dt.datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
