# Trainer machines: a managed instance group of size 0 that a `submit` fills and empties.

locals {
  trainer_group = "${var.name}-trainers"
  trainer_port  = 8470

  # All of a group are of one type. L4 and A100 belong to their types; a T4 is attached to one of another kind.
  trainer_usual = {
    none = "e2-standard-4"
    t4   = "n1-standard-4"
    l4   = "g2-standard-4"
    a100 = "a2-highgpu-1g"
  }
  trainer_machines = length(var.trainer_machines) > 0 ? var.trainer_machines : [local.trainer_usual[var.trainer_gpu]]

  # By family, so that each machine starts from its newest image; the second one has NVIDIA's driver and no framework.
  trainer_image = coalesce(var.trainer_image, (
    var.trainer_gpu == "none"
    ? "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts-amd64"
    : "projects/deeplearning-platform-release/global/images/family/common-cu129-ubuntu-2204-nvidia-580"
  ))
  trainer_image_words  = split("/", local.trainer_image)
  trainer_image_family = length(local.trainer_image_words) == 6

  candidate_zones = [for letter in var.zones : "${var.region}-${letter}" if contains(data.google_compute_zones.here.names, "${var.region}-${letter}")]
  fitting_zones   = [for zone in local.candidate_zones : zone if contains([for each in data.google_compute_machine_types.trainers[zone].machine_types : each.name], local.trainer_machines[0])]

  # In the shape of one zone the group itself takes one that has room; otherwise it may use all that it is given.
  zones = var.trainer_zones == 1 ? local.fitting_zones : slice(local.fitting_zones, 0, min(var.trainer_zones, length(local.fitting_zones)))

  trainer_environment = {
    CLOUDLSTM_CLOUD      = "gcp"
    CLOUDLSTM_BUCKET_URI = local.bucket_uri
    CLOUDLSTM_GROUP      = local.trainer_group
    CLOUDLSTM_REGION     = var.region
    CLOUDLSTM_MAX_HOURS  = tostring(var.max_hours)
    CLOUDLSTM_GPU        = var.trainer_gpu
  }

  # The script travels within, so that a machine sets its own deadline before it needs any network.
  trainer_startup = join("\n", concat(
    ["#!/usr/bin/env bash"],
    [for name, value in local.trainer_environment : "export ${name}='${value}'"],
    [file("${path.module}/../../../bootstrap/trainer.sh")],
  ))
}

data "google_compute_zones" "here" {
  region = var.region

  lifecycle {
    postcondition {
      condition     = length(setintersection(self.names, [for letter in var.zones : "${var.region}-${letter}"])) > 0
      error_message = "Region ${var.region} has none of the zones ${join(", ", var.zones)}."
    }
  }
}

data "google_compute_machine_types" "trainers" {
  for_each = toset(local.candidate_zones)

  zone   = each.key
  filter = "name = '${local.trainer_machines[0]}'"
}

data "google_compute_image" "trainers" {
  project = local.trainer_image_words[1]
  family  = local.trainer_image_family ? local.trainer_image_words[5] : null
  name    = local.trainer_image_family ? null : local.trainer_image_words[4]
}

resource "google_compute_instance_template" "trainers" {
  name_prefix  = "${local.trainer_group}-"
  description  = "Trainer machines of ${var.name}"
  region       = var.region
  machine_type = local.trainer_machines[0]
  labels       = local.labels

  disk {
    source_image = local.trainer_image
    boot         = true
    auto_delete  = true
    disk_type    = "pd-balanced"
    disk_size_gb = var.trainer_disk_gib
    labels       = local.labels

    dynamic "disk_encryption_key" {
      for_each = var.kms_key == null ? [] : [var.kms_key]

      content {
        kms_key_self_link = disk_encryption_key.value
      }
    }
  }

  dynamic "guest_accelerator" {
    for_each = var.trainer_gpu == "t4" ? ["nvidia-tesla-t4"] : []

    content {
      type  = guest_accelerator.value
      count = 1
    }
  }

  network_interface {
    subnetwork = local.subnetwork
  }

  service_account {
    email  = google_service_account.trainer.email
    scopes = ["cloud-platform"]
  }

  # Backup of a machine's own deadline, 15 minutes later: Compute Engine deletes machines that did not delete themselves.
  scheduling {
    provisioning_model          = var.trainer_spot ? "SPOT" : "STANDARD"
    preemptible                 = var.trainer_spot
    automatic_restart           = !var.trainer_spot
    on_host_maintenance         = "TERMINATE" # GPUs do not move
    instance_termination_action = "DELETE"

    max_run_duration {
      seconds = var.max_hours * 3600 + 900
    }
  }

  shielded_instance_config {
    enable_secure_boot          = var.trainer_gpu == "none" # NVIDIA's driver need not be signed
    enable_vtpm                 = true
    enable_integrity_monitoring = true
  }

  metadata = {
    block-project-ssh-keys = "true"
    enable-oslogin         = "true"
    startup-script         = local.trainer_startup
  }

  lifecycle {
    create_before_destroy = true # a group must let go of a template first

    precondition {
      condition     = length(local.trainer_startup) <= 262144
      error_message = "bootstrap/trainer.sh has outgrown the 256 KiB of a metadata value."
    }
    precondition {
      condition     = var.trainer_disk_gib >= data.google_compute_image.trainers.disk_size_gb
      error_message = "trainer_disk_gib is ${var.trainer_disk_gib}, and the image ${local.trainer_image} needs ${data.google_compute_image.trainers.disk_size_gb}."
    }
  }
}

resource "google_compute_region_instance_group_manager" "trainers" {
  name               = local.trainer_group
  description        = "Trainer machines of ${var.name}"
  region             = var.region
  base_instance_name = local.trainer_group
  target_size        = 0
  wait_for_instances = false

  # Wherever there are machines; and nothing ends a working one to place them better.
  distribution_policy_zones        = local.zones
  distribution_policy_target_shape = var.trainer_zones == 1 ? "ANY_SINGLE_ZONE" : "ANY"

  version {
    instance_template = google_compute_instance_template.trainers.self_link_unique
  }

  # A changed template counts for new machines only.
  update_policy {
    type                         = "OPPORTUNISTIC"
    minimal_action               = "REPLACE"
    instance_redistribution_type = "NONE"
    max_surge_fixed              = 0
    max_unavailable_fixed        = length(local.zones)
  }

  lifecycle {
    ignore_changes = [target_size] # `submit` sets it

    precondition {
      condition     = length(local.zones) > 0
      error_message = "None of the zones ${join(", ", local.candidate_zones)} has the machine type ${local.trainer_machines[0]}: see trainer_machines and zones."
    }
  }

  # While a machine lives it needs its way to the bucket and out, also when everything is being destroyed.
  depends_on = [
    google_compute_firewall.trainers,
    google_compute_router_nat.out,
    google_project_iam_member.trainer,
    google_storage_bucket_iam_member.list,
    google_storage_bucket_iam_member.work,
  ]
}
