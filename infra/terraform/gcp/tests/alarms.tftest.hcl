# The alarms of scheduled models. The provider is a mock: no account, no network, no emulator.

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}

mock_provider "time" {
  override_during = plan
}

variables {
  project = "my-project"
}

run "without_a_model_nothing_is_made" {
  command = plan

  variables {
    alarms = { emails = ["a@example.org"] }
  }

  assert {
    condition     = length(google_monitoring_notification_channel.alarms) + length(google_monitoring_alert_policy.absent) + length(google_monitoring_alert_policy.warning) == 0
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
    condition     = keys(google_monitoring_alert_policy.absent) == ["core6", "small"] && keys(google_monitoring_alert_policy.warning) == ["cost", "failed", "late", "missed", "over-budget", "refused"]
    error_message = "Each model has a policy on absence; one on each figure watches all models."
  }
  assert {
    condition     = google_monitoring_alert_policy.absent["core6"].conditions[0].condition_prometheus_query_language[0].query == "absent_over_time(custom_googleapis_com:cloudlstm_up_to_date{monitored_resource=\"generic_task\",target=\"cloudlstm\",model=\"core6\"}[75h])"
    error_message = "Absence alarms after a weekend and two hours, on weekdays."
  }
  assert {
    condition     = google_monitoring_alert_policy.warning["missed"].conditions[0].condition_prometheus_query_language[0].query == "last_over_time(custom_googleapis_com:cloudlstm_missed_sessions{monitored_resource=\"generic_task\",target=\"cloudlstm\",model=~\"core6|small\"}[168h]) >= 1"
    error_message = "One missed session alarms, which absence over a weekend cannot see."
  }
  assert {
    condition     = google_monitoring_alert_policy.warning["cost"].conditions[0].condition_prometheus_query_language[0].query == "last_over_time(custom_googleapis_com:cloudlstm_usd_month{monitored_resource=\"generic_task\",target=\"cloudlstm\",model=~\"core6|small\"}[168h]) >= 16"
    error_message = "Cost warns at 80 %, for every model of this target."
  }
  assert {
    condition     = alltrue([for policy in merge(google_monitoring_alert_policy.absent, google_monitoring_alert_policy.warning) : length(policy.notification_channels) == 2 && policy.conditions[0].condition_prometheus_query_language[0].disable_metric_validation])
    error_message = "Each address gets the mails, and an apply does not wait for the first figure."
  }
}

run "every_day_of_the_week" {
  command = plan

  variables {
    schedule = { time = "30 18 * * *", time_zone = "America/New_York", models = ["core6"] }
    alarms   = { emails = ["a@example.org"] }
  }

  assert {
    condition     = strcontains(google_monitoring_alert_policy.absent["core6"].conditions[0].condition_prometheus_query_language[0].query, "[27h]") && length(google_monitoring_alert_policy.warning) == 5
    error_message = "A day and its longest hour; without a limit there is no warning about cost."
  }
}

run "without_alarms_nothing_is_made" {
  command = plan

  variables {
    schedule = { time = "30 18 * * *", time_zone = "America/New_York", models = ["core6"], max_usd = 20 }
  }

  assert {
    condition     = length(google_monitoring_alert_policy.absent) + length(google_monitoring_alert_policy.warning) == 0
    error_message = "An alarm costs money, and without addresses nobody hears it."
  }
}

run "a_dot_in_a_name_is_only_a_dot" {
  command = plan

  variables {
    schedule = { time = "30 18 * * *", time_zone = "America/New_York", models = ["core6.v2"] }
    alarms   = { emails = ["a@example.org"] }
  }

  assert {
    condition     = strcontains(google_monitoring_alert_policy.warning["failed"].conditions[0].condition_prometheus_query_language[0].query, "model=~\"core6[.]v2\"")
    error_message = "A warning watches the models of the schedule and no others."
  }
}

run "wrong_alarms" {
  command = plan

  variables {
    alarms = { emails = ["a@example.org", "a@example.org"], absent_hours = 169 }
  }

  expect_failures = [var.alarms]
}

run "models_of_another_scheduler" {
  command = plan

  variables {
    alarms = { emails = ["a@example.org"], models = ["core6", "small"], absent_hours = 40 }
  }

  assert {
    condition     = keys(google_monitoring_alert_policy.absent) == ["core6", "small"] && keys(google_monitoring_alert_policy.warning) == ["failed", "late", "missed", "over-budget", "refused"]
    error_message = "Models that cron or a workflow does are watched, too; their limit of cost is not known here."
  }
  assert {
    condition     = strcontains(google_monitoring_alert_policy.absent["core6"].conditions[0].condition_prometheus_query_language[0].query, "[40h]")
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
