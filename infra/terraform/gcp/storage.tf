# The bucket of runs is that of the root in storage/, which a destroy here does not touch. Buckets made here go with a destroy.

locals {
  # The storage root computes the same name, see storage/storage.tf.
  bucket     = coalesce(var.bucket, "${var.name}-${var.project}")
  bucket_uri = "gs://${local.bucket}"
}

data "google_storage_buckets" "runs" {
  prefix = local.bucket

  lifecycle {
    postcondition {
      condition     = contains([for bucket in self.buckets : bucket.name], local.bucket)
      error_message = "Project ${var.project} has no bucket ${local.bucket} for runs. Make it first: terraform -chdir=storage init, then terraform -chdir=storage apply."
    }
  }
}

# Before version 0.6 this root made the bucket. README.md says how to take it out of the state; without that an apply fails and
# the bucket stays as it is.
removed {
  from = google_storage_bucket.runs

  lifecycle {
    destroy = false
  }
}

# What Terraform itself writes: the target document and the nodes' script. In a bucket with versions a destroy would leave old
# ones behind and then fail on the bucket; and nothing that runs on a machine may write here.
resource "google_storage_bucket" "target" {
  # checkov:skip=CKV_GCP_62:Terraform alone writes here, and its state says what.
  # checkov:skip=CKV_GCP_78:Terraform writes these objects again; old versions would keep a destroy from deleting the bucket.
  name                        = "${var.name}-${var.project}-target"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true

  soft_delete_policy {
    retention_duration_seconds = 0
  }

  dynamic "encryption" {
    for_each = var.kms_key == null ? [] : [var.kms_key]

    content {
      default_kms_key_name = encryption.value
    }
  }
}

# With its own buckets, Dataproc does not create two for the whole project, which no destroy would remove.
resource "google_storage_bucket" "spark" {
  # checkov:skip=CKV_GCP_62:These are the logs.
  # checkov:skip=CKV_GCP_78:What Dataproc writes here is written once, and kept for a month.
  for_each = toset(["staging", "temp"])

  name                        = "${var.name}-${var.project}-${each.key}"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true

  soft_delete_policy {
    retention_duration_seconds = 0
  }

  dynamic "encryption" {
    for_each = var.kms_key == null ? [] : [var.kms_key]

    content {
      default_kms_key_name = encryption.value
    }
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = 30
    }
  }
}
