# The alarms of scheduled models. The provider is a mock: no account, no network, no emulator.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

run "without_a_model_nothing_is_made" {
  command = plan

  variables {
    alarms = { emails = ["a@example.org"] }
  }

  assert {
    condition     = length(aws_sns_topic.alarms) + length(aws_sns_topic_subscription.alarms) + length(aws_cloudwatch_metric_alarm.absent) + length(aws_cloudwatch_metric_alarm.warning) == 0
    error_message = "Without a model there is nothing to watch."
  }
}

run "each_model_is_watched" {
  command = plan

  variables {
    schedule = { time = "30 18 * * 1-5", time_zone = "America/New_York", models = ["core6", "small"], max_usd = 20 }
    alarms   = { emails = ["a@example.org", "b@example.org"] }
  }

  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.absent) == ["core6", "small"] && length(aws_cloudwatch_metric_alarm.warning) == 12
    error_message = "Each model has an alarm on absence and six on figures."
  }
  assert {
    condition = alltrue([for alarm in aws_cloudwatch_metric_alarm.absent :
      alarm.treat_missing_data == "breaching" && alarm.period * alarm.evaluation_periods == 75 * 3600
      && alarm.datapoints_to_alarm == alarm.evaluation_periods && alarm.metric_name == "up_to_date"
    ])
    error_message = "Absence alarms after a weekend and two hours, on weekdays."
  }
  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_metric_alarm.warning : alarm.treat_missing_data == "ignore"])
    error_message = "A warning stays until the next day's figure."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.warning["core6-missed"].metric_name == "missed_sessions" && aws_cloudwatch_metric_alarm.warning["core6-missed"].threshold == 1
    error_message = "One missed session alarms, which absence over a weekend cannot see."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.warning["core6-cost"].threshold == 16 && aws_cloudwatch_metric_alarm.warning["core6-refused"].dimensions == tomap({ Target = "cloudlstm", Model = "core6" })
    error_message = "A warning has the dimensions of its model, and cost warns at 80 %."
  }
  assert {
    condition     = keys(aws_sns_topic_subscription.alarms) == ["a@example.org", "b@example.org"] && length(aws_sns_topic_policy.alarms) == 1
    error_message = "Each address gets the mails."
  }
}

run "every_day_of_the_week" {
  command = plan

  variables {
    schedule = { time = "30 18 * * *", time_zone = "America/New_York", models = ["core6"] }
    alarms   = { emails = ["a@example.org"] }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.absent["core6"].evaluation_periods == 27 && length(aws_cloudwatch_metric_alarm.warning) == 5
    error_message = "A day and its longest hour; without a limit there is no warning about cost."
  }
}

run "without_alarms_nothing_is_made" {
  command = plan

  variables {
    schedule = { time = "30 18 * * *", time_zone = "America/New_York", models = ["core6"], max_usd = 20 }
  }

  assert {
    condition     = length(aws_sns_topic.alarms) + length(aws_cloudwatch_metric_alarm.absent) + length(aws_cloudwatch_metric_alarm.warning) == 0
    error_message = "An alarm costs money, and without addresses nobody hears it."
  }
}

run "other_hours" {
  command = plan

  variables {
    schedule = { time = "0 18 * * 1", time_zone = "UTC", models = ["core6"] }
    alarms   = { emails = ["a@example.org"], absent_hours = 168 }
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.absent["core6"].evaluation_periods == 168
    error_message = "absent_hours counts."
  }
}

run "wrong_alarms" {
  command = plan

  variables {
    alarms = { emails = [], absent_hours = 1.5 }
  }

  expect_failures = [var.alarms]
}

run "models_of_another_scheduler" {
  command = plan

  variables {
    alarms = { emails = ["a@example.org"], models = ["core6", "small"], absent_hours = 40 }
  }

  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.absent) == ["core6", "small"] && length(aws_cloudwatch_metric_alarm.warning) == 10
    error_message = "Models that cron or a workflow does are watched, too; their limit of cost is not known here."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.absent["core6"].evaluation_periods == 40
    error_message = "Absence alarms after the hours that were set."
  }
}

run "hours_of_another_scheduler_are_not_known" {
  command = plan

  variables {
    alarms = { emails = ["a@example.org"], models = ["core6"] }
  }

  expect_failures = [var.alarms]
}

run "a_schedule_has_its_own_models" {
  command = plan

  variables {
    schedule = { time = "30 18 * * 1-5", time_zone = "America/New_York", models = ["core6"] }
    alarms   = { emails = ["a@example.org"], models = ["core6"], absent_hours = 75 }
  }

  expect_failures = [var.alarms]
}

run "hours_of_a_day_of_the_week_are_not_known" {
  command = plan

  variables {
    schedule = { time = "30 18 * * 5", time_zone = "America/New_York", models = ["core6"] }
    alarms   = { emails = ["a@example.org"] }
  }

  expect_failures = [var.alarms]
}

run "hours_of_some_days_of_the_month_are_not_known" {
  command = plan

  variables {
    schedule = { time = "30 18 1,15 * *", time_zone = "America/New_York", models = ["core6"] }
    alarms   = { emails = ["a@example.org"] }
  }

  expect_failures = [var.alarms]
}

run "days_of_the_week_in_another_form_need_hours" {
  command = plan

  variables {
    schedule = { time = "30 18 * * 0-6", time_zone = "America/New_York", models = ["core6"] }
    alarms   = { emails = ["a@example.org"] }
  }

  expect_failures = [var.alarms]
}

run "wrong_names" {
  command = plan

  variables {
    alarms = { emails = ["a@example.org"], models = ["core6", "core6"], absent_hours = 40 }
  }

  expect_failures = [var.alarms]
}
