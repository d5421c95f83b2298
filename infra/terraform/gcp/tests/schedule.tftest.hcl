# The launcher that comes by a schedule. The provider is a mock: no account, no network, no emulator.

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

run "none_by_default" {
  command = plan

  assert {
    condition = 0 == sum([
      length(google_compute_region_instance_group_manager.launcher), length(google_compute_instance_template.launcher),
      length(google_cloud_scheduler_job.launcher), length(google_service_account.launcher), length(google_service_account.scheduler),
      length(google_project_iam_member.launcher), length(google_project_iam_member.scheduler), length(google_storage_bucket_iam_member.launcher),
      length(google_storage_bucket_iam_member.launcher_list), length(google_storage_bucket_iam_member.launcher_reads),
      length(google_service_account_iam_member.launcher_acts_as),
    ])
    error_message = "Without a schedule nothing of it is made."
  }
  assert {
    condition     = jsondecode(google_storage_bucket_object.target.content).schedule == null && !contains(google_project_iam_custom_role.submitter.permissions, "cloudscheduler.jobs.get")
    error_message = "The target document says that there is none, and nobody has rights for it."
  }
}

run "a_schedule" {
  command = plan

  variables {
    read_buckets = ["prices"]
    schedule     = { time = "30 18 * * 1-5", time_zone = "America/New_York", models = ["core6", "sp50"], max_usd = 40 }
  }

  assert {
    condition = (
      google_cloud_scheduler_job.launcher[0].schedule == "30 18 * * 1-5" && google_cloud_scheduler_job.launcher[0].time_zone == "America/New_York"
      && google_cloud_scheduler_job.launcher[0].http_target[0].uri == "https://compute.googleapis.com/compute/v1/projects/my-project/regions/us-central1/instanceGroupManagers/cloudlstm-launcher/resize?size=1"
      && google_cloud_scheduler_job.launcher[0].http_target[0].http_method == "POST" && length(google_cloud_scheduler_job.launcher[0].http_target[0].oauth_token) == 1
    )
    error_message = "The job sets the size of the group to 1, in the name of an account."
  }
  assert {
    condition     = google_compute_region_instance_group_manager.launcher[0].target_size == 0
    error_message = "The launcher's group must begin empty."
  }
  assert {
    condition = jsondecode(google_storage_bucket_object.target.content).schedule == {
      time   = "30 18 * * 1-5", time_zone = "America/New_York", models = ["core6", "sp50"], max_usd = 40, group = "cloudlstm-launcher",
      job    = "cloudlstm-launcher", machine = "e2-standard-2", max_hours = 8, python = "",
      target = "gs://cloudlstm-my-project-target/target.json"
    }
    error_message = "The target document must tell the schedule."
  }
  assert {
    condition = alltrue([
      for line in ["CLOUDLSTM_GROUP='cloudlstm-launcher'", "CLOUDLSTM_MAX_HOURS='8'", "CLOUDLSTM_GPU='none'"] :
      strcontains(google_compute_instance_template.launcher[0].metadata["startup-script"], "export ${line}\n")
    ])
    error_message = "The machine must know its group and its longest life."
  }
  assert {
    condition     = length(google_compute_instance_template.launcher[0].network_interface[0].access_config) == 0 && google_compute_instance_template.launcher[0].scheduling[0].max_run_duration[0].seconds == 8 * 3600 + 900
    error_message = "The launcher has no public address, and Compute Engine ends it in any case."
  }
  assert {
    condition = alltrue([
      google_storage_bucket_iam_member.launcher["launcher-read"].role == "roles/storage.objectViewer",
      google_storage_bucket_iam_member.launcher["launcher-work"].role == "roles/storage.objectUser", length(google_storage_bucket_iam_member.launcher) == 2,
      !strcontains(google_storage_bucket_iam_member.launcher["launcher-work"].condition[0].expression, "/code/"),
      !strcontains(google_storage_bucket_iam_member.launcher["launcher-work"].condition[0].expression, "launcher/assignment.json"),
    ])
    error_message = "A launcher may only read what machines execute."
  }
  assert {
    condition     = { for name, grant in google_storage_bucket_iam_member.launcher_reads : name => grant.bucket } == { bars-prices = "prices", logs = "cloudlstm-my-project-staging", target = "cloudlstm-my-project-target" }
    error_message = "A launcher reads the target, logs, and bars in other buckets."
  }
  assert {
    condition     = strcontains(google_storage_bucket_iam_member.work["submitter-work"].condition[0].expression, "/trainers/cloudlstm-launcher/") && contains(google_project_iam_custom_role.submitter.permissions, "cloudscheduler.jobs.get")
    error_message = "A submitter sends the launcher's assignment, and sees the next time."
  }
}

run "no_sensible_schedule" {
  command = plan

  variables {
    schedule = { time = "every day", time_zone = "New York", models = [], max_usd = 0, max_hours = 24, python = "python3" }
  }

  expect_failures = [var.schedule]
}

run "no_way_out" {
  command = plan

  variables {
    egress   = "none"
    schedule = { time = "30 18 * * 1-5", time_zone = "America/New_York", models = ["core6"] }
  }

  expect_failures = [var.schedule]
}
