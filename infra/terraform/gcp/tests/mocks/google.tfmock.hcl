# What Google Cloud would answer, as far as a plan depends on it.

mock_data "google_compute_zones" {
  defaults = { names = ["us-central1-a", "us-central1-b", "us-central1-c", "us-central1-f"] }
}

mock_data "google_storage_buckets" {
  defaults = {
    buckets = [{ name = "cloudlstm-my-project", location = "US-CENTRAL1", storage_class = "STANDARD", self_link = "", labels = {} }]
  }
}

# Every zone has the usual types. Tests that need another answer override it.
mock_data "google_compute_machine_types" {
  defaults = {
    machine_types = [for name in ["n1-standard-4", "g2-standard-4", "g2-standard-8", "a2-highgpu-1g", "e2-standard-4"] : { name = name }]
  }
}

mock_data "google_compute_image" {
  defaults = { disk_size_gb = 50 }
}

mock_data "google_compute_subnetwork" {
  defaults = {
    network                  = "projects/host/global/networks/shared"
    private_ip_google_access = true
  }
}

mock_data "google_project" {
  defaults = { number = "123456789012" }
}

mock_resource "google_service_account" {
  defaults = {
    email  = "mock@my-project.iam.gserviceaccount.com"
    member = "serviceAccount:mock@my-project.iam.gserviceaccount.com"
    name   = "projects/my-project/serviceAccounts/mock@my-project.iam.gserviceaccount.com"
  }
}

mock_resource "google_project_iam_custom_role" {
  defaults = { name = "projects/my-project/roles/mock" }
}

mock_resource "google_compute_network" {
  defaults = { id = "projects/my-project/global/networks/mock" }
}

mock_resource "google_compute_subnetwork" {
  defaults = { id = "projects/my-project/regions/us-central1/subnetworks/mock" }
}

mock_resource "google_compute_instance_template" {
  defaults = { self_link_unique = "projects/my-project/global/instanceTemplates/mock?uniqueId=1" }
}

mock_resource "google_dataproc_autoscaling_policy" {
  defaults = { name = "projects/my-project/regions/us-central1/autoscalingPolicies/mock" }
}

mock_resource "google_monitoring_notification_channel" {
  defaults = { name = "projects/my-project/notificationChannels/1" }
}
