# Trainer machines: an Auto Scaling group of size 0 that a `submit` fills and empties.

locals {
  trainer_group = "${var.name}-trainers"
  trainer_port  = 8470
  trainer_tags  = merge(local.tags, { Name = local.trainer_group })

  trainer_usual = {
    none = ["m7i.xlarge", "m6i.xlarge", "m5.xlarge"]
    t4   = ["g4dn.xlarge", "g4dn.2xlarge"]
    l4   = ["g6.xlarge", "g6.2xlarge"]
    a10g = ["g5.xlarge", "g5.2xlarge"]
    l40s = ["g6e.xlarge", "g6e.2xlarge"]
  }
  trainer_machines = length(var.trainer_machines) > 0 ? var.trainer_machines : local.trainer_usual[var.trainer_gpu]

  # Amazon Linux in both cases, with the AWS command line; the second one with NVIDIA's driver and no framework.
  trainer_image = coalesce(
    var.trainer_image,
    var.trainer_gpu == "none"
    ? "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
    : "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-amazon-linux-2023/latest/ami-id"
  )
  trainer_disk_gib = coalesce(var.trainer_disk_gib, var.trainer_gpu == "none" ? 50 : 100)

  # EC2 starts no machine whose disk is smaller than its image.
  trainer_image_gib = max(0, [
    for disk in data.aws_ami.trainer.block_device_mappings : tonumber(lookup(disk.ebs, "volume_size", "0"))
    if disk.device_name == data.aws_ami.trainer.root_device_name
  ]...)

  trainer_environment = {
    CLOUDLSTM_CLOUD      = "aws"
    CLOUDLSTM_BUCKET_URI = local.bucket_uri
    CLOUDLSTM_GROUP      = local.trainer_group
    CLOUDLSTM_REGION     = var.region
    CLOUDLSTM_MAX_HOURS  = tostring(var.max_hours)
    CLOUDLSTM_GPU        = var.trainer_gpu
  }

  # The script travels within, so that a machine sets its own deadline before it needs any network.
  trainer_user_data = join("\n", concat(
    ["#!/usr/bin/env bash"],
    [for name, value in local.trainer_environment : "export ${name}='${value}'"],
    [file("${path.module}/../../../bootstrap/trainer.sh")],
  ))
}

data "aws_ssm_parameter" "trainer_image" {
  count = startswith(local.trainer_image, "/") ? 1 : 0

  name = local.trainer_image
}

data "aws_ami" "trainer" {
  include_deprecated = true

  filter {
    name   = "image-id"
    values = [startswith(local.trainer_image, "/") ? data.aws_ssm_parameter.trainer_image[0].insecure_value : local.trainer_image]
  }
}

data "aws_ec2_instance_type" "trainer" {
  for_each = toset(local.trainer_machines)

  instance_type = each.key
}

resource "aws_launch_template" "trainers" {
  name                                 = local.trainer_group
  image_id                             = data.aws_ami.trainer.id
  instance_initiated_shutdown_behavior = "terminate"
  update_default_version               = true
  user_data                            = base64encode(local.trainer_user_data)
  vpc_security_group_ids               = [aws_security_group.trainers.id]

  iam_instance_profile {
    arn = aws_iam_instance_profile.trainer.arn
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_put_response_hop_limit = 1
    http_tokens                 = "required"
  }

  block_device_mappings {
    device_name = data.aws_ami.trainer.root_device_name

    ebs {
      delete_on_termination = true
      encrypted             = true
      volume_size           = local.trainer_disk_gib
      volume_type           = "gp3"
    }
  }

  dynamic "tag_specifications" {
    for_each = ["instance", "volume"]

    content {
      resource_type = tag_specifications.value
      tags          = local.trainer_tags
    }
  }

  lifecycle {
    precondition {
      condition     = alltrue([for machine in data.aws_ec2_instance_type.trainer : contains(machine.supported_architectures, "x86_64")])
      error_message = "trainer_machines must be x86-64: the image is."
    }
    precondition {
      condition = alltrue([for machine in data.aws_ec2_instance_type.trainer : (
        var.trainer_gpu == "none"
        ? length(machine.gpus) == 0
        : contains([for gpu in machine.gpus : lower(gpu.name)], var.trainer_gpu)
      )])
      error_message = "trainer_machines (${join(", ", local.trainer_machines)}) must each carry trainer_gpu = ${var.trainer_gpu}."
    }
    precondition {
      # In base64, because EC2 counts bytes and length() characters.
      condition     = length(base64encode(local.trainer_user_data)) <= ceil(16384 / 3) * 4
      error_message = "bootstrap/trainer.sh has outgrown the 16 KiB of EC2's user data."
    }
    precondition {
      condition     = data.aws_ami.trainer.architecture == "x86_64"
      error_message = "trainer_image ${local.trainer_image} is not for x86-64."
    }
    precondition {
      condition     = local.trainer_disk_gib >= local.trainer_image_gib
      error_message = "trainer_disk_gib = ${local.trainer_disk_gib} is less than the ${local.trainer_image_gib} GiB of the image: EC2 would start no trainer."
    }
  }
}

resource "aws_autoscaling_group" "trainers" {
  name                      = local.trainer_group
  min_size                  = 0
  desired_capacity          = 0
  max_size                  = var.trainer_max
  vpc_zone_identifier       = [for zone in local.trainer_zones : local.subnets[zone]]
  health_check_type         = "EC2"
  wait_for_capacity_timeout = "0"
  suspended_processes       = ["AZRebalance"] # it would end a machine in the middle of its work

  mixed_instances_policy {
    launch_template {
      launch_template_specification {
        launch_template_id = aws_launch_template.trainers.id
        version            = aws_launch_template.trainers.latest_version
      }

      dynamic "override" {
        for_each = local.trainer_machines

        content {
          instance_type = override.value
        }
      }
    }

    instances_distribution {
      on_demand_allocation_strategy            = "prioritized"
      on_demand_base_capacity                  = 0
      on_demand_percentage_above_base_capacity = var.trainer_spot ? 0 : 100
      spot_allocation_strategy                 = "price-capacity-optimized"
    }
  }

  dynamic "tag" {
    for_each = local.trainer_tags

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }

  lifecycle {
    ignore_changes = [desired_capacity] # `submit` sets it
  }

  # While a machine lives it needs its way to the bucket and out, also when everything is being destroyed.
  depends_on = [
    aws_route.nat,
    aws_route_table_association.private,
    aws_vpc_endpoint.s3,
    aws_vpc_endpoint.services,
    aws_vpc_security_group_egress_rule.web,
    aws_vpc_security_group_egress_rule.within,
    aws_vpc_security_group_ingress_rule.within,
  ]
}
