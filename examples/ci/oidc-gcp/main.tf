# What GitHub's workflows may do in a project of Google Cloud, without a key that lasts: each job shows a token of GitHub, and
# Google gives it the rights of an account, for an hour at a time. One account reads, for plans of pull requests; one makes and
# removes everything, for jobs of one GitHub environment, which a person may have to approve. Jobs of the environment "daily" may
# become the root's submitter. Costs nothing. Apply it once, by hand:
#   terraform -chdir=examples/ci/oidc-gcp init
#   terraform -chdir=examples/ci/oidc-gcp apply -var project=my-project -var repository=OWNER/NAME
# It prints the values of the variables that cloud.yml and models.yml need, and an entry for the root's variable `submitters`.

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
}

variable "environment" {
  description = "GitHub environment whose jobs may change the cloud."
  type        = string
  default     = "cloud"
}

variable "name" {
  description = "Prefix of the accounts and of the pool of identities."
  type        = string
  default     = "cloudlstm"
}

variable "project" {
  description = "Id of the Google Cloud project."
  type        = string
}

variable "repository" {
  description = "Repository as it stands in the subject of GitHub's tokens: OWNER/NAME, or OWNER@ID/NAME@ID with immutable subjects, which repositories made or renamed since July 2026 have."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+(@[0-9]+)?/[A-Za-z0-9_.-]+(@[0-9]+)?$", var.repository))
    error_message = "repository is OWNER/NAME or OWNER@ID/NAME@ID, without wildcards."
  }
}

locals {
  subjects = {
    plan  = "repo:${var.repository}:pull_request"
    apply = "repo:${var.repository}:environment:${var.environment}"
  }
  daily = "repo:${var.repository}:environment:daily"

  # The roots make networks, clusters, groups, buckets, accounts, roles, grants to those accounts, a schedule and its alarms.
  roles = {
    plan = ["roles/viewer", "roles/iam.securityReviewer"]
    apply = [
      "roles/compute.admin", "roles/dataproc.admin", "roles/storage.admin", "roles/iam.serviceAccountAdmin",
      "roles/iam.serviceAccountUser", "roles/iam.roleAdmin", "roles/resourcemanager.projectIamAdmin",
      "roles/cloudscheduler.admin", "roles/monitoring.alertPolicyEditor", "roles/monitoring.notificationChannelEditor",
    ]
  }
  grants = merge([for who, roles in local.roles : { for role in roles : "${who} ${role}" => { who = who, role = role } }]...)
}

resource "google_iam_workload_identity_pool" "github" {
  workload_identity_pool_id = "${var.name}-github"
}

resource "google_iam_workload_identity_pool_provider" "github" {
  # checkov:skip=CKV_GCP_125:The condition names three whole subjects of one repository, which is narrower than the repository.
  workload_identity_pool_id          = google_iam_workload_identity_pool.github.workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  attribute_mapping                  = { "google.subject" = "assertion.sub" }
  attribute_condition                = "assertion.sub in ${jsonencode(concat(values(local.subjects), [local.daily]))}"

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account" "ci" {
  for_each = local.subjects

  account_id   = "${var.name}-ci-${each.key}"
  display_name = "Workflows of ${var.repository}: ${each.key}"
}

resource "google_service_account_iam_member" "ci" {
  for_each = local.subjects

  service_account_id = google_service_account.ci[each.key].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principal://iam.googleapis.com/${google_iam_workload_identity_pool.github.name}/subject/${each.value}"
}

resource "google_project_iam_member" "ci" {
  for_each = local.grants

  project = var.project
  role    = each.value.role
  member  = "serviceAccount:${google_service_account.ci[each.value.who].email}"
}

output "submitter" {
  description = "An entry for the root's variable `submitters`."
  value       = "principal://iam.googleapis.com/${google_iam_workload_identity_pool.github.name}/subject/${local.daily}"
}

output "variables" {
  description = "Variables of the GitHub repository that cloud.yml and models.yml read."
  value = {
    CLOUD             = "gcp"
    GCP_PROJECT       = var.project
    GCP_PROVIDER      = google_iam_workload_identity_pool_provider.github.name
    GCP_ACCOUNT_PLAN  = google_service_account.ci["plan"].email
    GCP_ACCOUNT_APPLY = google_service_account.ci["apply"].email
  }
}
