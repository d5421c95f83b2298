# What makes no sense, or would cost more than anybody means, is refused before anything is made. Every fault is named.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

run "each_by_itself" {
  command = plan

  variables {
    bucket               = "s3://runs"
    budget               = { monthly_usd = 50, emails = [] }
    egress               = "proxy"
    kms_key              = "alias/runs"
    max_hours            = 1000
    name                 = "My_Cloud"
    network              = { vpc_id = "vpc-1", subnet_ids = [] }
    network_cidr         = "10.0.0.0/28"
    permissions_boundary = "bound"
    read_buckets         = ["*"]
    spark_idle_minutes   = 100000
    spark_max_nodes      = 2000
    spark_release        = "emr-6.15.0"
    spark_spot_max_usd   = 19
    submitters           = ["arn:aws:iam::123456789012:user/*"]
    tags                 = { cloudlstm = "other" }
    trainer_gpu          = "h100"
    trainer_image        = "ubuntu"
    trainer_machines     = ["g5.xlarge", "g5.xlarge"]
    trainer_max          = 1000
    trainer_python       = "python3"
    trainer_zones        = 0
    zones                = ["us-east-1a"]
  }

  expect_failures = [
    var.bucket, var.budget, var.egress, var.kms_key, var.max_hours, var.name, var.network, var.network_cidr, var.permissions_boundary,
    var.read_buckets, var.spark_idle_minutes, var.spark_max_nodes, var.spark_release, var.spark_spot_max_usd, var.submitters, var.tags,
    var.trainer_gpu, var.trainer_image, var.trainer_machines, var.trainer_max, var.trainer_python, var.trainer_zones,
    var.zones,
  ]
}

run "with_one_another" {
  command = plan

  variables {
    spark_min_nodes  = 9
    spark_python     = "3.13"
    spark_release    = "emr-7.14.0"
    trainer_disk_gib = 79
  }

  expect_failures = [var.spark_min_nodes, var.spark_python, var.trainer_disk_gib]
}
