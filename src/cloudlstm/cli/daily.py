"""The command `daily`: brings a model to the newest session."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING

from cloudlstm.cli import terminal
from cloudlstm.cli.flags import parse_switch, parse_text
from cloudlstm.cli.submit import Deferred
from cloudlstm.errors import UsageError

if TYPE_CHECKING:
    from cloudlstm.models.documents import Day

REFUSED = 3
"""Exit status of a day on which something was refused; the champion stays."""
_EARLIEST = dt.datetime(1900, 1, 1, tzinfo=dt.UTC)


def daily(
    name: str,
    /,
    *,
    root: str | None = None,
    target: str | None = None,
    now: str | None = None,
    max_usd_month: float | None = None,
    launcher_usd_per_hour: float | None = None,
    skip_trainings: bool = False,
    give_up_trainings: bool = False,
    wait: bool = False,
    trust_endpoints: bool = False,
    json: bool = False,
) -> Deferred:
    """Brings a model to the newest session: bars, outcomes, checks, decisions, forecasts, and trainings that are due.

    The same command again on the same day continues where an earlier one stopped, or does nothing. Exit status: 0 done,
    1 failure, 2 usage error, 3 refused: the data, the forecasts, a challenger, or a training for its cost. The champion
    stays.

    Args:
        name: The model; `cloudlstm models create` makes it.
        root: The folder of all runs and models.
        target: Where challengers are trained; by default this machine.
        now: Acts as if it were this time in the past, such as 2024-06-28T22:00, in UTC; for recorded bars.
        max_usd_month: Most that the model may cost in a month in USD, instead of the limit of its policy; a training
            that may exceed it is refused.
        launcher_usd_per_hour: The price of this machine an hour in USD, which counts for the limit.
        skip_trainings: Leave the trainings that are due; the same command without this flag does them.
        give_up_trainings: Leave them as well, and count them as failed; a launcher without time for them says so.
        wait: Wait while another run uses the trainers of the target.
        trust_endpoints: Accept a target document that names services on other machines; they get your credentials.
        json: Print the document of the day.
    """
    from cloudlstm.targets import open_target

    trusted, as_json = parse_switch("trust-endpoints", trust_endpoints), parse_switch("json", json)
    chosen = open_target(parse_text("target", target), wait=parse_switch("wait", wait), trust_endpoints=trusted)
    model, place = str(parse_text("name", name)), parse_text("root", root)
    moment = _moment(parse_text("now", now))
    train = not parse_switch("skip-trainings", skip_trainings)
    give_up = parse_switch("give-up-trainings", give_up_trainings)
    amounts = _usd("max-usd-month", max_usd_month), _usd("launcher-usd-per-hour", launcher_usd_per_hour)

    def work() -> int:
        from cloudlstm.cli.daily_run import Limits, run_daily
        from cloudlstm.cli.find import root_uri
        from cloudlstm.cli.models_view import day_text
        from cloudlstm.models.registry import open_model

        def tell(day: Day) -> None:
            terminal.write(day_text(model, day, as_json=as_json))

        paths = open_model(root_uri(place or chosen.root), model)
        day = run_daily(paths, chosen, moment, tell, Limits(*amounts), train=train, give_up=give_up)
        return REFUSED if day.refused else 0

    return Deferred(work)


def _usd(flag: str, value: object) -> float | None:
    """An amount in USD above 0; None if the flag is not given.

    Raises:
        UsageError: It is none.
    """
    from cloudlstm.models.creating import usd_of

    return None if value is None else usd_of(f"--{flag}", str(value))


def _moment(text: str | None) -> Callable[[], dt.datetime]:
    """A function that returns the moment of the day: that of `--now`, else the clock's."""
    if text is None:
        return lambda: dt.datetime.now(dt.UTC)
    try:
        dt.time.fromisoformat(text[len("2024-06-28T") :])  # a date alone would be its midnight, before its session
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--now is no time: {text!r}", hint="--now=2024-06-28T22:00") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    if not _EARLIEST <= moment <= dt.datetime.now(dt.UTC):  # after a day in the future no other day would follow
        raise UsageError(f"--now is not between 1900 and the present time: {text!r}", hint="--now=2024-06-28T22:00")
    return lambda: moment
