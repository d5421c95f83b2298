# One private bucket holds runs, code, logs and the target document. It outlives clusters, networks and machines.

data "aws_caller_identity" "current" {}

locals {
  # The main root computes the same name, see ../storage.tf.
  bucket = coalesce(var.bucket, "${var.name}-${data.aws_caller_identity.current.account_id}-${var.region}")
}

# Before version 0.6 the main root made the bucket: `adopt` takes that one over, with everything in it.
import {
  for_each = var.adopt ? toset([local.bucket]) : toset([])
  to       = aws_s3_bucket.runs
  id       = each.key
}

resource "aws_s3_bucket" "runs" {
  # checkov:skip=CKV_AWS_18:An access log needs a second bucket; CloudTrail's data events serve those who must know.
  # checkov:skip=CKV_AWS_144:A run can be made again from its configuration; a copy in another region is not worth its cost.
  # checkov:skip=CKV_AWS_145:SSE-S3 keeps objects encrypted; `kms_key` is for those whose rules ask for a key of their own.
  # checkov:skip=CKV2_AWS_62:Nothing waits for the bucket's events.
  bucket        = local.bucket
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_ownership_controls" "runs" {
  bucket = aws_s3_bucket.runs.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_public_access_block" "runs" {
  bucket                  = aws_s3_bucket.runs.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "runs" {
  bucket = aws_s3_bucket.runs.id

  rule {
    bucket_key_enabled = var.kms_key != null # one request to KMS for many objects

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key
    }
  }
}

resource "aws_s3_bucket_versioning" "runs" {
  bucket = aws_s3_bucket.runs.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "runs" {
  bucket     = aws_s3_bucket.runs.id
  depends_on = [aws_s3_bucket_versioning.runs]

  rule {
    id     = "leftovers"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 2
    }

    # Progress objects are rewritten every few seconds: old versions are there to undo a mistake, not to keep.
    noncurrent_version_expiration {
      noncurrent_days = 7
    }

    expiration {
      expired_object_delete_marker = true
    }
  }

  rule {
    id     = "logs"
    status = "Enabled"

    filter {
      prefix = "logs/"
    }

    expiration {
      days = 30
    }
  }

  # A prefix can only include, so this rule cannot spare runs/models/ and runs/bars/: it is off unless somebody asks for it.
  rule {
    id     = "runs"
    status = var.keep_runs_days == null ? "Disabled" : "Enabled"

    filter {
      prefix = "runs/"
    }

    expiration {
      days = coalesce(var.keep_runs_days, 365)
    }
  }

  # Code is named by its content. A submit uploads again what is missing; a launcher of `schedule` does not: after its code is
  # deleted, no day is done until `cloudlstm schedule` sends it again.
  rule {
    id     = "code"
    status = var.keep_runs_days == null ? "Disabled" : "Enabled"

    filter {
      prefix = "code/"
    }

    expiration {
      days = coalesce(var.keep_runs_days, 365)
    }
  }
}

resource "aws_s3_bucket_policy" "runs" {
  bucket     = aws_s3_bucket.runs.id
  depends_on = [aws_s3_bucket_public_access_block.runs] # the two may not be changed at once

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyTLS"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.runs.arn, "${aws_s3_bucket.runs.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}
