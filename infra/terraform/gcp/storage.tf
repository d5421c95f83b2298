# One private bucket holds runs, code and the target document; two more are Dataproc's, for its logs and leftovers.

locals {
  bucket_uri = "gs://${google_storage_bucket.runs.name}"
}

resource "google_storage_bucket" "runs" {
  # checkov:skip=CKV_GCP_62:An access log needs a second bucket; Cloud Audit Logs' data access serves those who must know.
  name                        = "${var.name}-${var.project}"
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

  # Code is named by its content and uploaded again where it is missing, so it may go with the runs.
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

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age = 30
    }
  }
}
