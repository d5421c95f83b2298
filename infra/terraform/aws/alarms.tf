# Mails when a model needs a person. `cloudlstm daily` sends the figures; see docs/operations.md for what to do.
# Without `alarms`, or without a model in `schedule` or in `alarms.models`, nothing of this file is made.

locals {
  watched = var.alarms == null ? [] : try(var.schedule.models, coalesce(var.alarms.models, []))

  # The longest time between two days that were asked for, and two hours: of a schedule on each day of the week it is a day,
  # or 25 hours when summer time ends; of one on weekdays it reaches over the weekend. Other times need absent_hours.
  every_day    = var.schedule == null ? true : endswith(var.schedule.time, " * * *")
  absent_hours = coalesce(try(var.alarms.absent_hours, null), local.every_day ? 27 : 75)
  usd_warning  = var.schedule == null ? null : try(var.schedule.max_usd * 0.8, null)

  # What alarms, by the figure and its limit. The state is that of the last day, so an alarm ends with a good day.
  warnings = merge(
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
  alarms = merge([for model in local.watched : {
    for what, warning in local.warnings : "${model}-${what}" => merge(warning, { model = model })
  }]...)
}

resource "aws_sns_topic" "alarms" {
  # checkov:skip=CKV_AWS_26:Alarms cannot use the key alias/aws/sns, and say only names and figures of a day.
  count = length(local.watched) > 0 ? 1 : 0

  name = "${var.name}-alarms"
}

resource "aws_sns_topic_policy" "alarms" {
  count = length(aws_sns_topic.alarms)

  arn = aws_sns_topic.alarms[0].arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AlarmsOfThisTarget"
      Effect    = "Allow"
      Action    = "sns:Publish"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Resource  = aws_sns_topic.alarms[0].arn
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:cloudwatch:${var.region}:${local.account}:alarm:${var.name}-*" }
      }
    }]
  })
}

resource "aws_sns_topic_subscription" "alarms" {
  for_each = toset(length(local.watched) > 0 ? var.alarms.emails : [])

  topic_arn = aws_sns_topic.alarms[0].arn
  protocol  = "email"
  endpoint  = each.key
}

# The most important one: nothing tells of a day that nobody has begun, except that its figure is missing.
resource "aws_cloudwatch_metric_alarm" "absent" {
  for_each = toset(local.watched)

  alarm_name          = "${var.name}-${each.key}-absent"
  alarm_description   = "${each.key}: no day was done or refused for ${local.absent_hours} hours"
  namespace           = "cloudlstm"
  metric_name         = "up_to_date"
  dimensions          = { Target = var.name, Model = each.key }
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = local.absent_hours
  datapoints_to_alarm = local.absent_hours
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms[0].arn]
  ok_actions          = [aws_sns_topic.alarms[0].arn]
}

resource "aws_cloudwatch_metric_alarm" "warning" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.model}: ${each.value.says}"
  namespace           = "cloudlstm"
  metric_name         = each.value.figure
  dimensions          = { Target = var.name, Model = each.value.model }
  statistic           = "Maximum"
  period              = 3600
  evaluation_periods  = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.limit
  treat_missing_data  = "ignore"
  alarm_actions       = [aws_sns_topic.alarms[0].arn]
}
