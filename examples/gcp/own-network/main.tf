# A network with one subnet that reaches Google's services, as a company may have one. It costs nothing. Hand it to the main root:
#   terraform -chdir=examples/gcp/own-network init && terraform -chdir=examples/gcp/own-network apply -var project=my-project
#   echo "network = $(terraform -chdir=examples/gcp/own-network output -json network)" > infra/terraform/gcp/network.auto.tfvars

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

variable "project" {
  description = "Id of the Google Cloud project, that of the main root."
  type        = string
}

variable "region" {
  description = "Google Cloud region, that of the main root."
  type        = string
  default     = "us-central1"
}

# Its route 0.0.0.0/0 stays: Private Google Access needs it, and machines without an address reach nothing else by it.
resource "google_compute_network" "own" {
  # checkov:skip=CKV2_GCP_18:The main root makes the firewall rules of its machines; without a rule nothing comes in.
  name                    = "own-network"
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "private" {
  # checkov:skip=CKV_GCP_26:Flow logs cost by the GB; a company's network has its own.
  name                     = "own-network"
  network                  = google_compute_network.own.id
  region                   = var.region
  ip_cidr_range            = "10.60.0.0/20"
  private_ip_google_access = true
}

output "network" {
  description = "Value of the main root's variable `network`."
  value       = { subnetwork = google_compute_subnetwork.private.id }
}
