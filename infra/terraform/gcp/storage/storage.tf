# One private bucket holds runs and code. It outlives clusters, networks and machines.

locals {
  # The main root computes the same name, see ../storage.tf.
  bucket = coalesce(var.bucket, "${var.name}-${var.project}")
}

# Before version 0.6 the main root made the bucket: `adopt` takes that one over, with everything in it.
import {
  for_each = var.adopt ? toset([local.bucket]) : toset([])
  to       = google_storage_bucket.runs
  id       = "${var.project}/${each.key}"
}

resource "google_storage_bucket" "runs" {
  # checkov:skip=CKV_GCP_62:An access log needs a second bucket; Cloud Audit Logs' data access serves those who must know.
  name                        = local.bucket
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = var.force_destroy

  versioning {
    enabled = true
  }

  # Versions already undo mistakes; soft deletion would keep, and bill, dropped versions for another week.
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
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 2
    }
  }

  # Progress objects are rewritten every few seconds: old versions are there to undo a mistake, not to keep.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 7
      with_state                 = "ARCHIVED"
    }
  }

  # A prefix can only include, so this rule cannot spare runs/models/ and runs/bars/: it does not exist unless somebody asks for it.
  # Code is named by its content. A submit uploads again what is missing; a launcher of `schedule` does not: after its code is
  # deleted, no day is done until `cloudlstm schedule` sends it again.
  dynamic "lifecycle_rule" {
    for_each = var.keep_runs_days == null ? [] : [var.keep_runs_days]

    content {
      action {
        type = "Delete"
      }
      condition {
        age            = lifecycle_rule.value
        matches_prefix = ["runs/", "code/"]
        with_state     = "LIVE"
      }
    }
  }
}
