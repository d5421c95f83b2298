# The bucket of runs under different settings. The provider is a mock: no account, no network, no emulator.

mock_provider "google" {
  override_during = plan
}

variables {
  project = "my-project"
}

run "defaults" {
  command = plan

  assert {
    condition     = output.bucket == "cloudlstm-my-project" && output.bucket_uri == "gs://cloudlstm-my-project"
    error_message = "The main root looks for this name."
  }
  assert {
    condition     = !google_storage_bucket.runs.force_destroy
    error_message = "A destroy must not take runs along unless asked to."
  }
  assert {
    condition = (
      google_storage_bucket.runs.versioning[0].enabled
      && google_storage_bucket.runs.uniform_bucket_level_access
      && google_storage_bucket.runs.public_access_prevention == "enforced"
    )
    error_message = "The bucket keeps versions and is private."
  }
  assert {
    condition     = alltrue([for rule in google_storage_bucket.runs.lifecycle_rule : alltrue([for when in rule.condition : when.matches_prefix == null])])
    error_message = "Models, their ledgers, the store of bars and a launcher's code must not be deleted by age."
  }
  assert {
    condition     = [for rule in google_storage_bucket.runs.lifecycle_rule : one(rule.action).type] == ["AbortIncompleteMultipartUpload", "Delete"] && one(google_storage_bucket.runs.lifecycle_rule[1].condition).with_state == "ARCHIVED"
    error_message = "Leftovers of uploads and old versions go by themselves."
  }
  assert {
    condition     = length(google_storage_bucket.runs.encryption) == 0
    error_message = "Google's keys encrypt unless a key is named."
  }
}

run "runs_go_at_an_age_if_asked" {
  command = plan

  variables {
    keep_runs_days = 30
  }

  assert {
    condition     = [for when in google_storage_bucket.runs.lifecycle_rule[2].condition : [when.age, when.with_state]] == [[30, "LIVE"]]
    error_message = "Runs and code go after the days that were set."
  }
  assert {
    condition     = [for rule in google_storage_bucket.runs.lifecycle_rule : one(rule.action).type] == ["AbortIncompleteMultipartUpload", "Delete", "Delete"]
    error_message = "Leftovers of uploads and old versions go as well."
  }
}

run "other_settings" {
  command = plan

  variables {
    bucket        = "our-runs"
    force_destroy = true
    kms_key       = "projects/keys/locations/us-central1/keyRings/ring/cryptoKeys/runs"
  }

  assert {
    condition     = output.bucket == "our-runs" && google_storage_bucket.runs.force_destroy
    error_message = "Name and force_destroy are settings."
  }
  assert {
    condition     = one(google_storage_bucket.runs.encryption).default_kms_key_name == "projects/keys/locations/us-central1/keyRings/ring/cryptoKeys/runs"
    error_message = "The key that was named must encrypt."
  }
}

run "bad_settings" {
  command = plan

  variables {
    bucket         = "gs://runs"
    keep_runs_days = 1
    kms_key        = "runs"
    labels         = { cloudlstm = "mine" }
    name           = "My_Cloud"
    project        = "My Project"
    region         = "us-central1-a"
  }

  expect_failures = [var.bucket, var.keep_runs_days, var.kms_key, var.labels, var.name, var.project, var.region]
}
