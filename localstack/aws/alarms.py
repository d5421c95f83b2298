"""CloudWatch's alarms, which moto stores and never evaluates: their states, and what they send to SNS.

An alarm of one metric is evaluated over the last periods before the clock's time. Of SNS, moto delivers to SQS; mails
are kept here instead of being sent. CloudWatch's limits on points and periods are checked when they are put.
"""

from __future__ import annotations

import datetime as dt
import json
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from moto.cloudwatch.exceptions import InvalidParameterValue
from moto.cloudwatch.models import CloudWatchBackend, cloudwatch_backends
from moto.sns.models import sns_backends

Now = Callable[[], dt.datetime]

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
_STATISTICS: Mapping[str, Callable[[list[float]], float]] = {
    "Sum": sum,
    "Maximum": max,
    "Minimum": min,
    "SampleCount": lambda values: float(len(values)),
    "Average": lambda values: sum(values) / len(values),
}
_HOUR_S, _DAY_S, _WEEK_S = 3600, 86_400, 604_800
_OLDEST, _NEWEST = dt.timedelta(weeks=2), dt.timedelta(hours=2)
_AWS_KEY = "alias/aws/sns"
UNKNOWN = "INSUFFICIENT_DATA"


def install(now: Now) -> None:
    """Makes moto refuse what CloudWatch refuses, and begin alarms without data.

    Args:
        now: Tells the time.
    """
    CloudWatchBackend.put_metric_data = _checked_points(CloudWatchBackend.put_metric_data, now)  # type: ignore[method-assign]
    CloudWatchBackend.put_metric_alarm = _checked_alarm(CloudWatchBackend.put_metric_alarm)  # type: ignore[method-assign]


def _checked_points(put: Callable[..., None], now: Now) -> Callable[..., None]:
    if hasattr(put, "checked"):
        put = put.checked

    def call(self: Any, namespace: str, metric_data: list[dict[str, Any]]) -> None:
        for number, each in enumerate(metric_data, 1):
            at = each.get("Timestamp")
            moment = _utc(at) if at else now()
            if not now() - _OLDEST <= moment <= now() + _NEWEST:
                raise InvalidParameterValue(
                    f"The parameter MetricData.member.{number}.Timestamp must specify a time within the past two weeks "
                    "and up to two hours ahead."
                )
            if at is None:
                each["Timestamp"] = moment
        put(self, namespace, metric_data)

    call.checked = put  # type: ignore[attr-defined]
    return call


def _checked_alarm(put: Callable[..., Any]) -> Callable[..., Any]:
    if hasattr(put, "checked"):
        put = put.checked

    def call(self: Any, **given: Any) -> Any:
        period, periods = int(given.get("period") or 0), int(given.get("evaluation_periods") or 1)
        longest = _DAY_S if period < _HOUR_S else _WEEK_S
        if period * periods > longest:
            raise InvalidParameterValue(f"Metrics cannot be checked across more than {longest // _DAY_S} day(s).")
        known = given["name"] in self.alarms
        alarm = put(self, **given)
        if not known:
            alarm.state_value = UNKNOWN
        return alarm

    call.checked = put  # type: ignore[attr-defined]
    return call


class Alarms:
    """All alarms of all accounts and regions.

    Args:
        now: Tells the time.

    Attributes:
        mails: What was mailed: address, subject and text; the oldest first.
    """

    def __init__(self, now: Now) -> None:
        self._now = now
        self.mails: list[dict[str, str]] = []

    def evaluate(self) -> None:
        """Sets the state of each alarm, and sends what a change of a state asks for."""
        now = self._now()
        for backend in list(_backends(cloudwatch_backends)):
            for alarm in list(backend.alarms.values()):
                if alarm.metric_name and not alarm.rule:
                    self._evaluate(backend, alarm, now)

    def _evaluate(self, backend: Any, alarm: Any, now: dt.datetime) -> None:
        state, reason = state_of(alarm, backend.metric_data, now)
        before = alarm.state_value
        if state == before:
            return
        alarm.update_state(reason, "{}", state)
        actions = {"ALARM": alarm.alarm_actions, "OK": alarm.ok_actions, UNKNOWN: alarm.insufficient_data_actions}
        for action in actions[state] if alarm.actions_enabled else ():
            self._publish(action, alarm, before, now)

    def _publish(self, topic: str, alarm: Any, before: str, now: dt.datetime) -> None:
        region, account = topic.split(":")[3:5]
        backend = sns_backends[account][region]
        found = backend.topics.get(topic)
        if found is None or found.kms_master_key_id == _AWS_KEY:  # as in the cloud, only the alarm's history says so
            alarm.history.append(("Action", f"Failed to execute action {topic}", "{}", alarm.state_value, now))
            return
        subject = f'{alarm.state_value}: "{alarm.name}" in {region}'
        message = {
            "AlarmName": alarm.name,
            "AlarmDescription": alarm.description,
            "AWSAccountId": account,
            "NewStateValue": alarm.state_value,
            "OldStateValue": before,
            "NewStateReason": alarm.state_reason,
            "StateChangeTime": now.isoformat(),
            "Region": region,
            "AlarmArn": alarm.alarm_arn,
        }
        text = json.dumps(message)
        backend.publish(text, arn=topic, subject=subject[:100])
        for each in backend.subscriptions.values():
            if each.topic.arn == topic and each.protocol == "email":
                self.mails.append({"to": str(each.endpoint), "subject": subject, "text": text})


def state_of(alarm: Any, points: list[Any], now: dt.datetime) -> tuple[str, str]:
    """The state of an alarm at a time, and its reason.

    Args:
        alarm: The alarm, as moto keeps it.
        points: All points of its account and region.
        now: The time.
    """
    values = _values(alarm, points, now)
    known = [value for value in values if value is not None]
    missing = alarm.treat_missing_data or "missing"
    breaches = _COMPARISONS[alarm.comparison_operator]
    breaching = sum(breaches(value, float(alarm.threshold)) for value in known)
    if missing == "breaching":
        breaching += len(values) - len(known)
    elif not known and missing == "ignore":
        return alarm.state_value, alarm.state_reason
    elif not known and missing == "missing":
        return UNKNOWN, f"Insufficient Data: {len(values)} datapoints were unknown."
    needed = int(alarm.datapoints_to_alarm or alarm.evaluation_periods)
    state = "ALARM" if breaching >= needed else "OK"
    return (
        state,
        f"Threshold Crossed: {breaching} of {len(values)} datapoints, {len(known)} known, breach {alarm.threshold}",
    )


def _values(alarm: Any, points: list[Any], now: dt.datetime) -> list[float | None]:
    """The statistic of each of the last periods, the newest first; None for a period without a point."""
    wanted = {(each.name, each.value) for each in alarm.dimensions}
    periods: list[list[float]] = [[] for _ in range(int(alarm.evaluation_periods))]
    for point in points:
        if (point.namespace, point.name) != (alarm.namespace, alarm.metric_name):
            continue
        if {(each.name, each.value) for each in point.dimensions} != wanted:
            continue
        age = (now - _utc(point.timestamp)).total_seconds()
        place = int(age // int(alarm.period))
        if age >= 0 and place < len(periods):
            periods[place].append(float(point.value))
    return [_STATISTICS[alarm.statistic](values) if values else None for values in periods]


def _backends(kind: Any) -> Iterator[Any]:
    for regions in list(kind.values()):
        yield from list(regions.values())


def _utc(moment: Any) -> dt.datetime:
    found = dt.datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return found.replace(tzinfo=dt.UTC) if found.tzinfo is None else found.astimezone(dt.UTC)
