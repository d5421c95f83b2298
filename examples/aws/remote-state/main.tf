# A bucket for Terraform's state, so that two people can apply: the second one waits, or is told who holds the lock. It costs
# some cents a month. Make it once; then these lines move the state of both roots into it:
#   terraform -chdir=examples/aws/remote-state init && terraform -chdir=examples/aws/remote-state apply
#   terraform -chdir=examples/aws/remote-state output -raw backend > infra/terraform/aws/backend.tf
#   terraform -chdir=examples/aws/remote-state output -raw backend_storage > infra/terraform/aws/storage/backend.tf
#   for root in infra/terraform/aws/storage infra/terraform/aws; do terraform -chdir=$root init -migrate-state; done
# Commit both backend.tf: they hold no secret. The state of this folder itself stays here; if it is lost, nothing else is.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }
}

provider "aws" {
  region = var.region
}

variable "name" {
  description = "Prefix of the bucket's name, and of the states in it."
  type        = string
  default     = "cloudlstm"
}

variable "region" {
  description = "AWS region of the bucket."
  type        = string
  default     = "us-east-1"
}

data "aws_caller_identity" "current" {}

resource "aws_s3_bucket" "state" {
  # checkov:skip=CKV_AWS_18:An access log needs a second bucket; CloudTrail serves those who must know.
  # checkov:skip=CKV_AWS_144:A lost state can be imported again; a copy in another region costs more than it saves.
  # checkov:skip=CKV_AWS_145:S3's own keys encrypt it; a key of one's own costs, and whoever applies needs rights on it.
  # checkov:skip=CKV2_AWS_61:A state is small, and every old one may be what brings a lost resource back.
  # checkov:skip=CKV2_AWS_62:Nothing waits for a new state.
  bucket = "${var.name}-${data.aws_caller_identity.current.account_id}-${var.region}-state"

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "state" {
  bucket = aws_s3_bucket.state.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_public_access_block" "state" {
  bucket                  = aws_s3_bucket.state.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "state" {
  bucket = aws_s3_bucket.state.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TLSOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.state.arn, "${aws_s3_bucket.state.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

locals {
  backend = {
    for root in ["main", "storage"] : root => <<-EOT
      terraform {
        backend "s3" {
          bucket       = "${aws_s3_bucket.state.bucket}"
          key          = "${var.name}/${root}.tfstate"
          region       = "${var.region}"
          use_lockfile = true
        }
      }
    EOT
  }
}

output "backend" {
  description = "Text of infra/terraform/aws/backend.tf."
  value       = local.backend["main"]
}

output "backend_storage" {
  description = "Text of infra/terraform/aws/storage/backend.tf."
  value       = local.backend["storage"]
}
