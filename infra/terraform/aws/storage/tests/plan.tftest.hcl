# The bucket under different settings. The provider is a mock: no account, no network, no emulator.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

run "defaults" {
  command = plan

  assert {
    condition     = aws_s3_bucket.runs.bucket == "cloudlstm-123456789012-us-east-1" && output.bucket_uri == "s3://cloudlstm-123456789012-us-east-1"
    error_message = "The main root looks for this name."
  }
  assert {
    condition     = aws_s3_bucket.runs.force_destroy == false
    error_message = "A destroy must not take runs along unless asked to."
  }
  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.runs.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "Objects are encrypted by S3's own keys."
  }
  assert {
    condition     = { for rule in aws_s3_bucket_lifecycle_configuration.runs.rule : rule.id => rule.status } == { leftovers = "Enabled", logs = "Enabled", runs = "Disabled", code = "Disabled" }
    error_message = "Models, their ledgers, the store of bars and a launcher's code must not be deleted by age."
  }
}

run "runs_go_at_an_age_if_asked" {
  command = plan

  variables {
    keep_runs_days = 30
  }

  assert {
    condition     = { for rule in aws_s3_bucket_lifecycle_configuration.runs.rule : rule.id => rule.expiration[0].days if rule.status == "Enabled" && rule.id != "leftovers" } == { logs = 30, runs = 30, code = 30 }
    error_message = "Runs and code go after the days that were set."
  }
}

run "a_name_and_a_key_of_ones_own" {
  command = plan

  variables {
    bucket        = "prices-and-runs"
    force_destroy = true
    kms_key       = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  }

  assert {
    condition     = aws_s3_bucket.runs.bucket == "prices-and-runs" && aws_s3_bucket.runs.force_destroy
    error_message = "The bucket must have the given name."
  }
  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.runs.rule).apply_server_side_encryption_by_default).kms_master_key_id == var.kms_key
    error_message = "Objects must be encrypted by the given key."
  }
}

run "what_makes_no_sense_is_refused" {
  command = plan

  variables {
    bucket         = "s3://runs"
    keep_runs_days = 1
    kms_key        = "arn:aws:kms:us-east-1:123456789012:alias/runs"
    name           = "My_Cloud"
    tags           = { cloudlstm = "other" }
  }

  expect_failures = [var.bucket, var.keep_runs_days, var.kms_key, var.name, var.tags]
}
