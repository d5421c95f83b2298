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
    condition     = data.aws_s3_bucket.runs.bucket == "cloudlstm-123456789012-us-east-1" && output.target_uri == "s3://cloudlstm-123456789012-us-east-1/target.json"
    error_message = "The bucket is the one that the root in storage/ makes."
  }
  assert {
    condition     = jsondecode(aws_s3_object.target.content).trainer_machines == ["g4dn.xlarge", "g4dn.2xlarge"]
    error_message = "The target document must name the machines."
  }
  assert {
    condition     = !output.spark_spot && !output.trainer_spot && output.trainer_python == "" && output.spark_machine == "m6i.xlarge"
    error_message = "The target document must say what machines are and where they come from."
  }
  assert {
    condition     = output.trainer_disk_gib == 100 && one(one(aws_launch_template.trainers.block_device_mappings).ebs).volume_size == 100
    error_message = "With a GPU the disk must be larger than the image."
  }
  assert {
    condition     = output.trainer_zones == ["us-east-1a"] && length(aws_autoscaling_group.trainers.vpc_zone_identifier) == 1
    error_message = "Trainers are near each other unless asked to spread."
  }
  assert {
    condition     = !strcontains(aws_iam_role_policy.spark_service.policy, "CreateServiceLinkedRole") && !strcontains(aws_iam_role_policy.trainer.policy, "ssm")
    error_message = "Rights that nobody asked for must not be given."
  }
}

run "everything_else_than_by_default" {
  command = plan

  variables {
    bucket               = "prices-and-runs"
    budget               = { monthly_usd = 120, emails = ["team@example.org"], only_tagged = true }
    debug_access         = true
    egress               = "none"
    kms_key              = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    permissions_boundary = "arn:aws:iam::123456789012:policy/bound"
    spark_machine        = "m7g.xlarge"
    spark_spot_max_usd   = 0.192
    tags                 = { department = "research" }
    trainer_gpu          = "none"
    trainer_image        = "ami-00000000000000001"
    trainer_python       = "/opt/python/bin/python3"
    trainer_spot         = true
    trainer_zones        = 2
  }
  override_resource {
    target          = aws_subnet.private["us-east-1a"]
    override_during = plan
    values          = { id = "subnet-a" }
  }
  override_resource {
    target          = aws_subnet.private["us-east-1b"]
    override_during = plan
    values          = { id = "subnet-b" }
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
  override_data {
    target          = data.aws_ami.trainer
    override_during = plan
    values = {
      id                    = "ami-00000000000000001"
      architecture          = "x86_64"
      root_device_name      = "/dev/sda1"
      block_device_mappings = [{ device_name = "/dev/sda1", ebs = { volume_size = "8" }, no_device = "", virtual_name = "" }]
    }
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
    condition = [for statement in jsondecode(aws_iam_role_policy.spark_service.policy).Statement : statement.Resource if statement.Action == "iam:CreateServiceLinkedRole"] == [
      "arn:aws:iam::123456789012:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
    ]
    error_message = "EMR must be allowed to make the role of the spot market's first use."
  }
  assert {
    condition     = one(one(aws_autoscaling_group.trainers.mixed_instances_policy).instances_distribution).on_demand_percentage_above_base_capacity == 0
    error_message = "Trainers must come from the spot market."
  }
  assert {
    condition     = output.spark_spot && output.trainer_spot && output.trainer_python == "/opt/python/bin/python3"
    error_message = "The target document must say so."
  }
  assert {
    condition     = length(aws_nat_gateway.out) + length(aws_internet_gateway.out) + length(aws_eip.nat) + length(aws_subnet.public) == 0
    error_message = "Without egress nothing may lead out, or cost anything."
  }
  assert {
    condition     = output.egress == "none" && aws_vpc_endpoint.s3[0].vpc_endpoint_type == "Gateway"
    error_message = "S3 stays in reach, and the target says that the internet does not."
  }
  assert {
    condition     = { for key, endpoint in aws_vpc_endpoint.services : key => "${endpoint.service_name} ${endpoint.private_dns_enabled}" } == { for key in ["autoscaling", "ssm", "ssmmessages"] : key => "com.amazonaws.us-east-1.${key} true" }
    error_message = "Trainers must reach Auto Scaling, or they could not leave their group, and with debug_access Session Manager."
  }
  assert {
    condition     = length(aws_security_group.endpoints) == 1 && aws_vpc_security_group_ingress_rule.within["trainers-endpoints"].from_port == 443
    error_message = "Endpoints must let trainers in."
  }
  assert {
    condition     = strcontains(aws_iam_role_policy.trainer.policy, "ssmmessages:OpenDataChannel")
    error_message = "With debug_access trainers may talk to Session Manager."
  }
  assert {
    condition = alltrue([
      for policy in [aws_iam_role_policy.spark_node.policy, aws_iam_role_policy.trainer.policy, aws_iam_role_policy.submitter.policy] :
      contains([for statement in jsondecode(policy).Statement : statement.Resource], [var.kms_key])
    ])
    error_message = "All who read and write objects must be allowed to use the bucket's key."
  }
  assert {
    condition = alltrue([
      for role in [aws_iam_role.spark_node, aws_iam_role.spark_service, aws_iam_role.submitter, aws_iam_role.trainer] :
      role.permissions_boundary == var.permissions_boundary
    ])
    error_message = "Every role must have the boundary."
  }
  assert {
    condition     = [for tag in aws_autoscaling_group.trainers.tag : tag.value if tag.key == "department"] == ["research"] && aws_launch_template.trainers.tag_specifications[1].tags.department == "research"
    error_message = "Machines and their disks must have the further tags."
  }
  assert {
    condition     = output.bucket_uri == "s3://prices-and-runs"
    error_message = "The bucket must be the named one."
  }
  assert {
    condition     = output.spark_architecture == "aarch64"
    error_message = "The bundle is made for the architecture in the target."
  }
  assert {
    condition     = length(data.aws_ssm_parameter.trainer_image) == 0 && aws_launch_template.trainers.image_id == "ami-00000000000000001"
    error_message = "The image must be the given one."
  }
  assert {
    condition     = one(aws_launch_template.trainers.block_device_mappings).device_name == "/dev/sda1" && output.trainer_disk_gib == 50
    error_message = "The disk must be the image's own, and smaller without a GPU."
  }
  assert {
    condition     = output.trainer_zones == ["us-east-1a", "us-east-1b"] && aws_autoscaling_group.trainers.vpc_zone_identifier == toset(["subnet-a", "subnet-b"])
    error_message = "Trainers must spread over as many zones as asked."
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
    values          = { supported_architectures = ["arm64"], gpus = [{ count = 1, manufacturer = "NVIDIA", memory_size = 16384, name = "T4" }] }
  }

  expect_failures = [aws_launch_template.trainers]
}

run "a_disk_smaller_than_the_image" {
  command = plan

  variables {
    trainer_disk_gib = 74
    trainer_image    = "/images/trainer"
  }

  expect_failures = [aws_launch_template.trainers]
}

run "an_image_for_graviton" {
  command = plan

  override_data {
    target          = data.aws_ami.trainer
    override_during = plan
    values          = { architecture = "arm64" }
  }

  expect_failures = [aws_launch_template.trainers]
}
