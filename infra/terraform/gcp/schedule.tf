# The launcher: a machine that comes by the variable `schedule`, does the day of each model with a submitter's rights, and leaves.
# Cloud Scheduler gives its group one machine. Without `schedule` nothing of this file is made.

locals {
  scheduled            = var.schedule == null ? 0 : 1 # for `count`
  launcher_group       = "${var.name}-launcher"
  launcher_coordinates = "${local.objects}/trainers/${local.launcher_group}" # assignment, leases, machines' logs
  launcher_image       = try(coalesce(var.schedule.image), "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-amd64")

  launcher_environment = {
    CLOUDLSTM_CLOUD      = "gcp"
    CLOUDLSTM_BUCKET_URI = local.bucket_uri
    CLOUDLSTM_GROUP      = local.launcher_group
    CLOUDLSTM_REGION     = var.region
    CLOUDLSTM_MAX_HOURS  = try(tostring(var.schedule.max_hours), "1")
    CLOUDLSTM_GPU        = "none"
  }

  launcher_startup = join("\n", concat(
    ["#!/usr/bin/env bash"],
    [for name, value in local.launcher_environment : "export ${name}='${value}'"],
    [file("${path.module}/../../../bootstrap/trainer.sh")],
  ))

  # What the target document says of it.
  target_schedule = var.schedule == null ? null : {
    time      = var.schedule.time
    time_zone = var.schedule.time_zone
    models    = var.schedule.models
    max_usd   = var.schedule.max_usd
    group     = local.launcher_group
    job       = local.launcher_group
    machine   = var.schedule.machine
    max_hours = var.schedule.max_hours
    python    = var.schedule.python
    target    = "gs://${google_storage_bucket.target.name}/target.json"
  }

  # A submitter's rights on the bucket, but it only reads code: what machines execute is sent by `cloudlstm schedule`.
  launcher_work = var.schedule == null ? {} : {
    launcher-work = {
      role     = "roles/storage.objectUser"
      prefixes = ["${local.objects}/runs/", "${local.coordinates}/", "${local.launcher_coordinates}/leases/", "${local.launcher_coordinates}/machines/"]
    }
    launcher-read = {
      role     = "roles/storage.objectViewer"
      prefixes = ["${local.objects}/code/", "${local.launcher_coordinates}/assignment.json"]
    }
  }
}

resource "google_compute_instance_template" "launcher" {
  count = local.scheduled

  name_prefix  = "${local.launcher_group}-"
  description  = "The launcher of ${var.name}"
  region       = var.region
  machine_type = var.schedule.machine
  labels       = local.labels

  disk {
    source_image = local.launcher_image
    boot         = true
    auto_delete  = true
    disk_type    = "pd-balanced"
    disk_size_gb = 30
    labels       = local.labels

    dynamic "disk_encryption_key" {
      for_each = var.kms_key == null ? [] : [var.kms_key]

      content {
        kms_key_self_link = disk_encryption_key.value
      }
    }
  }

  network_interface {
    subnetwork = local.subnetwork
  }

  service_account {
    email  = google_service_account.launcher[0].email
    scopes = ["cloud-platform"]
  }

  # Backup of the machine's own deadline, 15 minutes later.
  scheduling {
    provisioning_model          = "STANDARD"
    automatic_restart           = true
    on_host_maintenance         = "TERMINATE"
    instance_termination_action = "DELETE"

    max_run_duration {
      seconds = var.schedule.max_hours * 3600 + 900
    }
  }

  shielded_instance_config {
    enable_secure_boot          = true
    enable_vtpm                 = true
    enable_integrity_monitoring = true
  }

  metadata = {
    block-project-ssh-keys = "true"
    enable-oslogin         = "true"
    startup-script         = local.launcher_startup
  }

  lifecycle {
    create_before_destroy = true # a group must let go of a template first
  }
}

resource "google_compute_region_instance_group_manager" "launcher" {
  count = local.scheduled

  name               = local.launcher_group
  description        = "The launcher of ${var.name}"
  region             = var.region
  base_instance_name = local.launcher_group
  target_size        = 0
  wait_for_instances = false

  distribution_policy_zones        = local.candidate_zones
  distribution_policy_target_shape = "ANY"

  version {
    instance_template = google_compute_instance_template.launcher[0].self_link_unique
  }

  update_policy {
    type                         = "OPPORTUNISTIC"
    minimal_action               = "REPLACE"
    instance_redistribution_type = "NONE"
    max_surge_fixed              = 0
    max_unavailable_fixed        = length(local.candidate_zones)
  }

  lifecycle {
    ignore_changes = [target_size] # the schedule sets it
  }

  depends_on = [
    google_compute_router_nat.out,
    google_project_iam_member.launcher,
    google_storage_bucket_iam_member.launcher,
    google_storage_bucket_iam_member.launcher_list,
  ]
}

# Only the size: the machine itself makes its group smaller again. If it still works when the next time comes, nothing happens.
resource "google_cloud_scheduler_job" "launcher" {
  count = local.scheduled

  name        = local.launcher_group
  description = "The day of ${join(", ", var.schedule.models)}"
  region      = var.region
  schedule    = var.schedule.time
  time_zone   = var.schedule.time_zone

  http_target {
    http_method = "POST"
    uri         = "https://compute.googleapis.com/compute/v1/projects/${var.project}/regions/${var.region}/instanceGroupManagers/${google_compute_region_instance_group_manager.launcher[0].name}/resize?size=1"

    oauth_token {
      service_account_email = google_service_account.scheduler[0].email
      scope                 = "https://www.googleapis.com/auth/cloud-platform"
    }
  }

  retry_config {
    retry_count          = 3
    min_backoff_duration = "30s"
  }

  depends_on = [google_project_iam_member.scheduler]
}

# Whoever resizes the group by the schedule. Groups have no IAM policy of their own, so this holds for every group of the project.

resource "google_service_account" "scheduler" {
  count = local.scheduled

  account_id   = "${var.name}-scheduler"
  display_name = "Starts the launcher of ${var.name} by its schedule"
}

resource "google_project_iam_member" "scheduler" {
  count = local.scheduled

  project = var.project
  role    = google_project_iam_custom_role.trainer.name
  member  = google_service_account.scheduler[0].member
}

# The launcher.

resource "google_service_account" "launcher" {
  count = local.scheduled

  account_id   = local.launcher_group
  display_name = "The launcher of ${var.name}"
}

resource "google_project_iam_member" "launcher" {
  for_each = local.scheduled == 1 ? {
    submit = google_project_iam_custom_role.submitter.name
    scale  = google_project_iam_custom_role.trainer.name
  } : {}

  project = var.project
  role    = each.value
  member  = google_service_account.launcher[0].member
}

# The cluster and the machines that it starts act as these accounts; it may start none that acts as another.
resource "google_service_account_iam_member" "launcher_acts_as" {
  for_each = local.scheduled == 1 ? { spark = google_service_account.spark.name, trainer = google_service_account.trainer.name } : {}

  service_account_id = each.value
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.launcher[0].member
}

resource "google_storage_bucket_iam_member" "launcher" {
  for_each = local.launcher_work

  bucket = local.bucket
  role   = each.value.role
  member = google_service_account.launcher[0].member

  condition {
    title      = each.key
    expression = join(" || ", [for prefix in each.value.prefixes : "resource.name.startsWith(\"${prefix}\")"])
  }
}

resource "google_storage_bucket_iam_member" "launcher_list" {
  count = local.scheduled

  bucket = local.bucket
  role   = "roles/storage.legacyBucketReader"
  member = google_service_account.launcher[0].member
}

# The target document, logs of Spark, and bars in other buckets.
resource "google_storage_bucket_iam_member" "launcher_reads" {
  for_each = local.scheduled == 1 ? merge(
    { target = google_storage_bucket.target.name, logs = google_storage_bucket.spark["staging"].name },
    { for bucket in var.read_buckets : "bars-${bucket}" => bucket },
  ) : {}

  bucket = each.value
  role   = "roles/storage.objectViewer"
  member = google_service_account.launcher[0].member
}
