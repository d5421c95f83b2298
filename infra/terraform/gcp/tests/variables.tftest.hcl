# What makes no sense, or would cost more than anybody means, is refused before anything is made. Every fault is named.

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}

mock_provider "time" {
  override_during = plan
}

variables {
  project = "my-project"
}

run "each_by_itself" {
  command = plan

  variables {
    bucket             = "gs://runs"
    budget             = { billing_account = "mine", monthly_usd = 50, emails = [] }
    egress             = "proxy"
    kms_key            = "runs"
    labels             = { cloudlstm = "mine" }
    max_hours          = 1000
    name               = "My_Cloud"
    network_cidr       = "10.0.0.0/28"
    project            = "My Project"
    read_buckets       = ["*"]
    region             = "us-central1-a"
    spark_disk_gib     = 10
    spark_idle_minutes = 100000
    spark_machine      = "c4a-standard-4"
    spark_max_nodes    = 2000
    spark_project_role = "worker"
    spark_release      = "1.5-debian10"
    submitters         = ["allUsers"]
    trainer_disk_gib   = 8
    trainer_gpu        = "h100"
    trainer_image      = "ubuntu"
    trainer_max        = 1000
    trainer_python     = "python3"
    trainer_zones      = 0
    zones              = ["us-central1-a"]
  }

  expect_failures = [
    var.bucket, var.budget, var.egress, var.kms_key, var.labels, var.max_hours, var.name, var.network_cidr, var.project,
    var.read_buckets, var.region, var.spark_disk_gib, var.spark_idle_minutes, var.spark_machine, var.spark_max_nodes,
    var.spark_project_role, var.spark_release, var.submitters, var.trainer_disk_gib, var.trainer_gpu, var.trainer_image, var.trainer_max,
    var.trainer_python, var.trainer_zones, var.zones,
  ]
}

run "with_one_another" {
  command = plan

  variables {
    network          = { subnetwork = "projects/host/regions/europe-west4/subnetworks/shared" }
    spark_min_nodes  = 9
    spark_python     = "3.13"
    trainer_gpu      = "l4"
    trainer_machines = ["n1-standard-4"]
  }

  expect_failures = [var.network, var.spark_min_nodes, var.spark_python, var.trainer_machines]
}

run "machines_of_two_types" {
  command = plan

  variables {
    trainer_machines = ["n1-standard-4", "n1-standard-8"]
  }

  expect_failures = [var.trainer_machines]
}

run "machines_that_would_bring_a_gpu_along" {
  command = plan

  variables {
    trainer_gpu      = "none"
    trainer_machines = ["g2-standard-4"]
  }

  expect_failures = [var.trainer_machines]
}

run "a_name_of_google" {
  command = plan

  variables {
    name = "my-google"
  }

  expect_failures = [var.name]
}

run "a_subnet_without_its_project" {
  command = plan

  variables {
    network = { subnetwork = "shared" }
  }

  expect_failures = [var.network]
}
