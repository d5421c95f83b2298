"""Alert policies of the emulated Cloud Monitoring: which alerts are open, and what is mailed.

Conditions are written in PromQL, in two forms: `absent_over_time(METRIC{LABELS}[Nh])`, and
`last_over_time(METRIC{LABELS}[Nh])` compared with a number. Any other condition is refused: it would not be
evaluated.
"""

from __future__ import annotations

import datetime as dt
import itertools
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from localstack.gcp.api import Call, Document, Method, Refusal, page
from localstack.gcp.monitoring import Monitoring, Series

_ABSENT = re.compile(r"absent_over_time\((?P<metric>[\w:]+)\{(?P<labels>[^}]*)\}\[(?P<hours>\d+)h\]\)")
_LAST = re.compile(
    r"last_over_time\((?P<metric>[\w:]+)\{(?P<labels>[^}]*)\}\[(?P<hours>\d+)h\]\)"
    r" *(?P<compare>>=|<=|>|<|==) *(?P<limit>-?[\d.]+)"
)
_LABEL = re.compile(r'(\w+)(=~?)"([^"]*)"')
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "==": operator.eq,
}  # fmt: skip
_INTERVAL_S = 30
_MOST_CONDITIONS = 6
_MOST_CHANNELS = 16
_PROMQL = "conditionPrometheusQueryLanguage"


@dataclass
class Alert:
    """One alert of a policy.

    Attributes:
        name: Its id.
        policy: Name of the policy.
        series: Labels of the series; empty for a missing one.
        opened: When it opened.
        closed: When it closed; None while it is open.
    """

    name: str
    policy: str
    series: Mapping[str, str]
    opened: dt.datetime
    closed: dt.datetime | None = None

    def document(self) -> Document:
        """The alert as the service returns it."""
        ended = {"closeTime": self.closed.isoformat()} if self.closed else {}
        return {
            "name": self.name,
            "state": "CLOSED" if self.closed else "OPEN",
            "openTime": self.opened.isoformat(),
            "metric": {"labels": dict(self.series)},
            "policy": {"name": self.policy},
            **ended,
        }


@dataclass
class Alerts:
    """Alert policies and notification channels of one project.

    Attributes:
        monitoring: The points.
        now: Tells the time.
        mails: What was mailed: address, subject and text; the oldest first.
    """

    monitoring: Monitoring
    now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
    mails: list[dict[str, str]] = field(default_factory=list)
    _policies: dict[str, Document] = field(default_factory=dict)
    _channels: dict[str, Document] = field(default_factory=dict)
    _alerts: list[Alert] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def methods(self) -> Iterable[Method]:
        for kind, kept in (("alertPolicies", self._policies), ("notificationChannels", self._channels)):
            url = f"/v3/projects/<project>/{kind}"
            yield Method("monitoring", f"{kind}.Create", "POST", url, self._maker(kind, kept))
            yield Method("monitoring", f"{kind}.List", "GET", url, _lister(kind, kept))
            yield Method("monitoring", f"{kind}.Get", "GET", f"{url}/<id>", _getter(kind, kept))
            yield Method("monitoring", f"{kind}.Delete", "DELETE", f"{url}/<id>", _remover(kind, kept))
        yield Method("monitoring", "Alerts.List", "GET", "/v3/projects/<project>/alerts", self._list)

    def _maker(self, kind: str, kept: dict[str, Document]) -> Callable[[Call], Document]:
        def make(call: Call) -> Document:
            body = dict(call.body)
            if kind == "alertPolicies":
                self._check(body)
            elif body.get("type") != "email" or "@" not in str(body.get("labels", {}).get("email_address", "")):
                raise Refusal(400, "Field notification_channel.labels had an invalid value: email_address is required.")
            name = f"projects/{call['project']}/{kind}/{next(self._numbers)}"
            kept[name] = {**body, "name": name}
            return kept[name]

        return make

    def _check(self, policy: Document) -> None:
        conditions, channels = policy.get("conditions") or [], policy.get("notificationChannels") or []
        if policy.get("combiner") not in ("OR", "AND", "AND_WITH_MATCHING_RESOURCE"):
            raise Refusal(400, "Field alert_policy.combiner had an invalid value: it is required.")
        if not 1 <= len(conditions) <= _MOST_CONDITIONS:
            raise Refusal(
                400, f"Field alert_policy.conditions had an invalid value: 1 to {_MOST_CONDITIONS} are needed."
            )
        if len(channels) > _MOST_CHANNELS:
            raise Refusal(400, f"Field alert_policy.notification_channels: at most {_MOST_CHANNELS} are allowed.")
        for each in channels:
            if each not in self._channels:
                raise Refusal(404, f"Notification channel {each} does not exist.")
        for each in conditions:
            if "conditionAbsent" in each:
                raise Refusal(400, "The duration of a condition on absence is at most 23.5 hours; use PromQL.")
            interval = str(each.get(_PROMQL, {}).get("evaluationInterval", "30s"))
            if not re.fullmatch(r"[1-9]\d*s", interval) or int(interval[:-1]) % _INTERVAL_S:
                raise Refusal(400, f"The evaluation interval must be a positive multiple of {_INTERVAL_S} seconds.")
            if parsed(str(each.get(_PROMQL, {}).get("query", ""))) is None:
                raise Refusal(400, "This emulator evaluates absent_over_time and last_over_time of one metric only.")

    def evaluate(self) -> None:
        """Opens and closes alerts, and mails what that asks for."""
        now = self.now()
        for name, policy in self._policies.items():
            found = [labels for each in policy["conditions"] for labels in self._violating(each[_PROMQL]["query"], now)]
            mine = [alert for alert in self._alerts if alert.policy == name and alert.closed is None]
            for alert in mine:
                if dict(alert.series) not in found:
                    alert.closed = now
                    self._mail(policy, alert)
            for labels in found:
                if not any(dict(alert.series) == labels for alert in mine):
                    project = name.split("/")[1]
                    alert = Alert(f"projects/{project}/alerts/{next(self._numbers)}", name, labels, now)
                    self._alerts.append(alert)
                    self._mail(policy, alert)

    def _violating(self, query: str, now: dt.datetime) -> list[dict[str, str]]:
        """The labels of the series that violate a condition."""
        found = parsed(query)
        assert found is not None
        oldest = now - dt.timedelta(hours=int(found["hours"]))
        wanted = _LABEL.findall(found["labels"])
        last: list[tuple[dict[str, str], float]] = []
        for series, points in self.monitoring.points.items():
            labels = _labels(series)
            inside = [point for point in points if oldest < point.at <= now]
            if prom_name(series.metric) == found["metric"] and _match(wanted, labels) and inside:
                last.append((dict(series.labels), inside[-1].value))
        if "limit" not in found:
            equal = {key: value for key, sign, value in wanted if sign == "=" and key != "monitored_resource"}
            return [] if last else [equal]
        compare = _COMPARE[found["compare"]]
        return [labels for labels, value in last if compare(value, float(found["limit"]))]

    def _mail(self, policy: Document, alert: Alert) -> None:
        state = "resolved" if alert.closed else "ALERT"
        text = f"{policy['conditions'][0].get('displayName', '')} {dict(alert.series)}"
        for each in policy.get("notificationChannels") or []:
            address = self._channels[each]["labels"]["email_address"]
            self.mails.append({"to": address, "subject": f"[{state}] {policy.get('displayName', '')}", "text": text})

    def _list(self, call: Call) -> Document:
        items, token = page([each.document() for each in self._alerts], call, "pageSize", 1000)
        return {"alerts": items} | ({"nextPageToken": token} if token else {})


def parsed(query: str) -> dict[str, str] | None:
    """The parts of a query: metric, labels, hours, of a comparison also compare and limit; None for another form."""
    found = _ABSENT.fullmatch(query.strip()) or _LAST.fullmatch(query.strip())
    return found.groupdict() if found else None


def prom_name(metric: str) -> str:
    """The name of a metric type in PromQL: a colon for the first slash, an underscore for each other sign."""
    place, _, name = metric.partition("/")
    return re.sub(r"\W", "_", place) + ":" + re.sub(r"\W", "_", name)


def _labels(series: Series) -> dict[str, str]:
    return dict(series.place) | dict(series.labels) | {"monitored_resource": series.resource}


def _match(wanted: Iterable[tuple[str, str, str]], labels: Mapping[str, str]) -> bool:
    """Whether labels have the wanted values: "=" compares, "=~" matches the whole value with a pattern."""
    return all(
        labels.get(key) == value if sign == "=" else re.fullmatch(value, labels.get(key, "")) is not None
        for key, sign, value in wanted
    )


def _lister(kind: str, kept: dict[str, Document]) -> Callable[[Call], Document]:
    def answer(call: Call) -> Document:
        items, token = page(list(kept.values()), call, "pageSize", 1000)
        return {kind: items} | ({"nextPageToken": token} if token else {})

    return answer


def _name(kind: str, kept: Mapping[str, Any], call: Call) -> str:
    name = f"projects/{call['project']}/{kind}/{call['id']}"
    if name not in kept:
        raise Refusal(404, f"{name} does not exist.")
    return name


def _getter(kind: str, kept: dict[str, Document]) -> Callable[[Call], Document]:
    return lambda call: kept[_name(kind, kept, call)]


def _remover(kind: str, kept: dict[str, Document]) -> Callable[[Call], Document]:
    def answer(call: Call) -> Document:
        del kept[_name(kind, kept, call)]
        return {}

    return answer
