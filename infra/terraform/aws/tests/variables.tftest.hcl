# What makes no sense, or would cost more than anybody means, is refused before anything is made. Every fault is named.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

run "each_by_itself" {
  command = plan

  variables {
    budget             = { monthly_usd = 50, emails = [] }
    egress             = "proxy"
    keep_runs_days     = 1
    max_hours          = 1000
    name               = "My_Cloud"
    network_cidr       = "10.0.0.0/28"
    read_buckets       = ["*"]
    spark_idle_minutes = 100000
    spark_max_nodes    = 2000
    spark_release      = "emr-6.15.0"
    submitters         = ["arn:aws:iam::123456789012:user/*"]
    trainer_disk_gib   = 8
    trainer_gpu        = "h100"
    trainer_machines   = ["g5.xlarge", "g5.xlarge"]
    trainer_max        = 1000
    zones              = ["us-east-1a"]
  }

  expect_failures = [
    var.budget, var.egress, var.keep_runs_days, var.max_hours, var.name, var.network_cidr, var.read_buckets,
    var.spark_idle_minutes, var.spark_max_nodes, var.spark_release, var.submitters, var.trainer_disk_gib, var.trainer_gpu,
    var.trainer_machines, var.trainer_max, var.zones,
  ]
}

run "with_one_another" {
  command = plan

  variables {
    spark_min_nodes = 9
    spark_python    = "3.13"
    spark_release   = "emr-7.14.0"
  }

  expect_failures = [var.spark_min_nodes, var.spark_python]
}
