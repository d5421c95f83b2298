# The bucket of runs, which the root in storage/ makes and keeps. Here only Terraform's own two objects are put into it.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account    = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  bucket_uri = "s3://${data.aws_s3_bucket.runs.bucket}"
  bucket_arn = data.aws_s3_bucket.runs.arn
}

# Terraform shows the next line when there is no such bucket.
data "aws_s3_bucket" "runs" { # made by: terraform -chdir=infra/terraform/aws/storage apply
  bucket = coalesce(var.bucket, "${var.name}-${local.account}-${var.region}")
}

# Before version 0.6 this root had the bucket in its state: it forgets it, and storage/ takes it over with -var adopt=true.

removed {
  from = aws_s3_bucket.runs

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_s3_bucket_ownership_controls.runs

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_s3_bucket_public_access_block.runs

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_s3_bucket_server_side_encryption_configuration.runs

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_s3_bucket_versioning.runs

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_s3_bucket_lifecycle_configuration.runs

  lifecycle {
    destroy = false
  }
}

removed {
  from = aws_s3_bucket_policy.runs

  lifecycle {
    destroy = false
  }
}
