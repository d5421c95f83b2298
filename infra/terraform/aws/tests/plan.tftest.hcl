# What a plan holds under different settings. The provider is a mock: no account, no network, no emulator.
# Each run plans the whole root, so one run holds all choices that do not touch one another.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

run "defaults" {
  command = plan

  assert {
    condition     = aws_autoscaling_group.trainers.desired_capacity == 0 && aws_autoscaling_group.trainers.min_size == 0
    error_message = "The trainer group must begin empty."
  }
  assert {
    condition     = length(aws_nat_gateway.out) == 1 && length(aws_budgets_budget.monthly) == 0 && length(aws_emr_instance_group.spot) == 0
    error_message = "By default there is a NAT gateway, and neither a budget nor Spark on the spot market."
  }
  assert {
    condition     = [for subnet in aws_subnet.private : subnet.cidr_block] == ["10.40.0.0/19", "10.40.32.0/19", "10.40.64.0/19"]
    error_message = "One private subnet a zone."
  }
  assert {
    condition     = aws_emr_cluster.spark.release_label == "emr-spark-8.1.0" && one(aws_emr_cluster.spark.auto_termination_policy).idle_timeout == 3600
    error_message = "The cluster must have the documented release and end itself when idle."
  }
  assert {
    condition     = aws_s3_bucket.runs.force_destroy == false
    error_message = "A destroy must not take runs along unless asked to."
  }
  assert {
    condition     = jsondecode(aws_s3_object.target.content).trainer_machines == ["g4dn.xlarge", "g4dn.2xlarge"]
    error_message = "The target document must name the machines."
  }
}

run "everything_else_than_by_default" {
  command = plan

  variables {
    budget             = { monthly_usd = 120, emails = ["team@example.org"], only_tagged = true }
    egress             = "none"
    keep_runs_days     = null
    spark_machine      = "m7g.xlarge"
    spark_spot_max_usd = 0.192
    trainer_gpu        = "none"
    trainer_spot       = true
  }
  override_data {
    target          = data.aws_ec2_instance_type.spark
    override_during = plan
    values          = { supported_architectures = ["arm64"] }
  }
  override_data {
    target          = data.aws_ec2_instance_type.trainer
    override_during = plan
    values          = { supported_architectures = ["x86_64"], gpus = [] }
  }

  assert {
    condition     = aws_emr_instance_group.spot[0].bid_price == "0.1920" && strcontains(aws_emr_cluster.spark.configurations_json, "node-labels")
    error_message = "Spark's further nodes must come from the spot market, and drivers must keep off them."
  }
  assert {
    condition     = one(aws_emr_managed_scaling_policy.spark.compute_limits).maximum_ondemand_capacity_units == 2
    error_message = "Only the nodes that stay are on demand."
  }
  assert {
    condition     = one(one(aws_autoscaling_group.trainers.mixed_instances_policy).instances_distribution).on_demand_percentage_above_base_capacity == 0
    error_message = "Trainers must come from the spot market."
  }
  assert {
    condition     = length(aws_nat_gateway.out) + length(aws_internet_gateway.out) + length(aws_eip.nat) + length(aws_subnet.public) == 0
    error_message = "Without egress nothing may lead out, or cost anything."
  }
  assert {
    condition     = output.egress == "none" && aws_vpc_endpoint.s3.vpc_endpoint_type == "Gateway"
    error_message = "S3 stays in reach, and the target says that the internet does not."
  }
  assert {
    condition     = { for rule in aws_s3_bucket_lifecycle_configuration.runs.rule : rule.id => rule.status } == { leftovers = "Enabled", logs = "Enabled", runs = "Disabled", code = "Disabled" }
    error_message = "Only leftovers and logs may go."
  }
  assert {
    condition     = output.spark_architecture == "aarch64"
    error_message = "The bundle is made for the architecture in the target."
  }
  assert {
    condition     = data.aws_ssm_parameter.trainer_image.name == "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    error_message = "Without a GPU no driver image is needed."
  }
  assert {
    condition     = aws_budgets_budget.monthly[0].limit_amount == "120.00" && one(one(aws_budgets_budget.monthly[0].cost_filter).values) == "user:cloudlstm$cloudlstm"
    error_message = "The budget must have its limit, and count only what carries the tag."
  }
}

run "machines_without_the_gpu" {
  command = plan

  variables {
    trainer_gpu = "l4"
  }

  expect_failures = [aws_launch_template.trainers]
}

run "graviton_trainers" {
  command = plan

  variables {
    trainer_machines = ["g5g.xlarge"]
  }
  override_data {
    target          = data.aws_ec2_instance_type.trainer
    override_during = plan
    values          = { supported_architectures = ["arm64"] }
  }

  expect_failures = [aws_launch_template.trainers]
}

run "no_such_zones" {
  command = plan

  variables {
    zones = ["x"]
  }
  override_data {
    target          = data.aws_availability_zones.here
    override_during = plan
    values          = { names = [] }
  }

  expect_failures = [data.aws_availability_zones.here]
}
