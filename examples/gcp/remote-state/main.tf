# A bucket for Terraform's state, so that two people can apply: the second one waits, or is told who holds the lock. It costs
# some cents a month. Make it once; then these lines move the state of both roots into it:
#   terraform -chdir=examples/gcp/remote-state init && terraform -chdir=examples/gcp/remote-state apply -var project=my-project
#   terraform -chdir=examples/gcp/remote-state output -raw backend > infra/terraform/gcp/backend.tf
#   terraform -chdir=examples/gcp/remote-state output -raw backend_storage > infra/terraform/gcp/storage/backend.tf
#   for root in infra/terraform/gcp/storage infra/terraform/gcp; do terraform -chdir=$root init -migrate-state; done
# Commit both backend.tf: they hold no secret. The state of this folder itself stays here; if it is lost, nothing else is.

terraform {
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.50, < 9"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

variable "name" {
  description = "Prefix of the bucket's name, and of the states in it."
  type        = string
  default     = "cloudlstm"
}

variable "project" {
  description = "Id of the Google Cloud project."
  type        = string
}

variable "region" {
  description = "Google Cloud region of the bucket."
  type        = string
  default     = "us-central1"
}

resource "google_storage_bucket" "state" {
  # checkov:skip=CKV_GCP_62:An access log needs a second bucket; Cloud Audit Logs' data access serves those who must know.
  name                        = "${var.name}-${var.project}-state"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = true
  }

  lifecycle {
    prevent_destroy = true
  }
}

locals {
  backend = {
    for root in ["main", "storage"] : root => <<-EOT
      terraform {
        backend "gcs" {
          bucket = "${google_storage_bucket.state.name}"
          prefix = "${var.name}/${root}"
        }
      }
    EOT
  }
}

output "backend" {
  description = "Text of infra/terraform/gcp/backend.tf."
  value       = local.backend["main"]
}

output "backend_storage" {
  description = "Text of infra/terraform/gcp/storage/backend.tf."
  value       = local.backend["storage"]
}
