# Mails when a model needs a person. `cloudlstm daily` sends the figures; see docs/operations.md for what to do.
# Without `alarms`, or without a model in `schedule` or in `alarms.models`, nothing of this file is made.
#
# Conditions are written in PromQL: those on absence of the other kind reach 23.5 hours, which is less than a day. Of PromQL
# https://docs.cloud.google.com/monitoring/alerts/using-promql says that a policy can evaluate up to two years of data; looking back for
# more than a day has not yet been tried on a real project. Each condition costs, so one watches all models of the schedule; only the
# absence of a model's figure needs its name.

locals {
  watched = var.alarms == null ? [] : try(var.schedule.models, coalesce(var.alarms.models, []))

  # Only models of the schedule: `daily` sends figures of any other model of this target as well. A pattern matches a whole name.
  watched_pattern = replace(join("|", local.watched), ".", "[.]")

  # The longest time between two days that were asked for, and two hours: of a schedule on each day of the week it is a day,
  # or 25 hours when summer time ends; of one on weekdays it reaches over the weekend. Other times need absent_hours.
  every_day    = var.schedule == null ? true : endswith(var.schedule.time, " * * *")
  absent_hours = coalesce(try(var.alarms.absent_hours, null), local.every_day ? 27 : 75)
  usd_warning  = var.schedule == null ? null : try(var.schedule.max_usd * 0.8, null)

  # What alarms, by the figure and its limit. The state is that of the last day, so an alarm ends with a good day.
  warnings = length(local.watched) == 0 ? {} : merge(
    {
      failed      = { figure = "failed", limit = 1, says = "a day or a training has failed" }
      refused     = { figure = "refused", limit = 1, says = "the data or the forecasts failed a check; there are no new forecasts" }
      late        = { figure = "late", limit = 1, says = "the next session had opened; there are no new forecasts" }
      missed      = { figure = "missed_sessions", limit = 1, says = "sessions before this day had no day; they have no forecasts" }
      over-budget = { figure = "over_budget", limit = 1, says = "a training was refused for its cost" }
    },
    local.usd_warning == null ? {} : {
      cost = { figure = "usd_month", limit = local.usd_warning, says = "80 % of the month's limit is spent" }
    },
  )
}

resource "google_monitoring_notification_channel" "alarms" {
  for_each = toset(length(local.watched) > 0 ? var.alarms.emails : [])

  display_name = "Alarms of ${var.name}, ${each.key}"
  type         = "email"
  labels       = { email_address = each.key }
}

# The most important one: nothing tells of a day that nobody has begun, except that its figure is missing.
resource "google_monitoring_alert_policy" "absent" {
  for_each = toset(local.watched)

  display_name          = "${var.name}-${each.key}-absent"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = [for channel in google_monitoring_notification_channel.alarms : channel.name]

  conditions {
    display_name = "${each.key}: no day was done or refused for ${local.absent_hours} hours"

    condition_prometheus_query_language {
      query                     = "absent_over_time(custom_googleapis_com:cloudlstm_up_to_date{monitored_resource=\"generic_task\",target=\"${var.name}\",model=\"${each.key}\"}[${local.absent_hours}h])"
      duration                  = "0s"
      evaluation_interval       = "300s"
      disable_metric_validation = true # the first day makes the metric
    }
  }

  documentation {
    content = "See docs/operations.md, Incidents: absent."
  }
}

resource "google_monitoring_alert_policy" "warning" {
  for_each = local.warnings

  display_name          = "${var.name}-${each.key}"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = [for channel in google_monitoring_notification_channel.alarms : channel.name]

  conditions {
    display_name = each.value.says

    condition_prometheus_query_language {
      query                     = "last_over_time(custom_googleapis_com:cloudlstm_${each.value.figure}{monitored_resource=\"generic_task\",target=\"${var.name}\",model=~\"${local.watched_pattern}\"}[168h]) >= ${each.value.limit}"
      duration                  = "0s"
      evaluation_interval       = "300s"
      disable_metric_validation = true
    }
  }

  documentation {
    content = "See docs/operations.md, Incidents: ${each.key}."
  }
}
