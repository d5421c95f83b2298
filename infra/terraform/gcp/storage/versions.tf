terraform {
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.50, < 9"
    }
  }

  # Choose where the state is stored, for example in a file backend.tf with  backend "gcs" { bucket = … }.
}

provider "google" {
  project        = var.project
  region         = var.region
  default_labels = merge(var.labels, { cloudlstm = var.name })
}
