# The launcher: a machine that comes by the variable `schedule`, does the day of each model with a submitter's rights, and leaves.
# Without `schedule` nothing of this file is made.

locals {
  scheduled            = var.schedule == null ? 0 : 1 # for `count`
  launcher_group       = "${var.name}-launcher"
  launcher_tags        = merge(local.tags, { Name = local.launcher_group })
  launcher_coordinates = "${local.bucket_arn}/trainers/${local.launcher_group}" # assignment, leases, machines' logs
  launcher_image       = try(coalesce(var.schedule.image), "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64")

  launcher_environment = {
    CLOUDLSTM_CLOUD      = "aws"
    CLOUDLSTM_BUCKET_URI = local.bucket_uri
    CLOUDLSTM_GROUP      = local.launcher_group
    CLOUDLSTM_REGION     = var.region
    CLOUDLSTM_MAX_HOURS  = try(tostring(var.schedule.max_hours), "1")
    CLOUDLSTM_GPU        = "none"
  }

  launcher_user_data = join("\n", concat(
    ["#!/usr/bin/env bash"],
    [for name, value in local.launcher_environment : "export ${name}='${value}'"],
    [file("${path.module}/../../../bootstrap/trainer.sh")],
  ))

  # What the target document says of it.
  target_schedule = var.schedule == null ? null : {
    time      = var.schedule.time
    time_zone = var.schedule.time_zone
    models    = var.schedule.models
    max_usd   = var.schedule.max_usd
    group     = local.launcher_group
    job       = local.launcher_group
    machine   = var.schedule.machine
    max_hours = var.schedule.max_hours
    python    = var.schedule.python
    target    = "${local.bucket_uri}/target.json"
  }
}

data "aws_ssm_parameter" "launcher_image" {
  count = startswith(local.launcher_image, "/") ? local.scheduled : 0

  name = local.launcher_image
}

data "aws_ami" "launcher" {
  count = local.scheduled

  include_deprecated = true

  filter {
    name   = "image-id"
    values = [startswith(local.launcher_image, "/") ? data.aws_ssm_parameter.launcher_image[0].insecure_value : local.launcher_image]
  }
}

data "aws_ec2_instance_type" "launcher" {
  count = local.scheduled

  instance_type = var.schedule.machine
}

# Nothing comes in. Out: to the services of AWS, and to sources of bars.

resource "aws_security_group" "launcher" {
  count = local.scheduled

  name        = local.launcher_group
  description = "The launcher: HTTP and HTTPS out, nothing comes in"
  vpc_id      = local.network_id
  tags        = { Name = local.launcher_group }
}

resource "aws_vpc_security_group_egress_rule" "launcher" {
  for_each = toset(local.scheduled == 1 ? ["80", "443"] : [])

  security_group_id = aws_security_group.launcher[0].id
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = tonumber(each.key)
  to_port           = tonumber(each.key)
  description       = "launcher-${each.key}"
}

resource "aws_launch_template" "launcher" {
  count = local.scheduled

  name                                 = local.launcher_group
  image_id                             = data.aws_ami.launcher[0].id
  instance_type                        = var.schedule.machine
  instance_initiated_shutdown_behavior = "terminate"
  update_default_version               = true
  user_data                            = base64encode(local.launcher_user_data)
  vpc_security_group_ids               = [aws_security_group.launcher[0].id]

  iam_instance_profile {
    arn = aws_iam_instance_profile.launcher[0].arn
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_put_response_hop_limit = 1
    http_tokens                 = "required"
  }

  block_device_mappings {
    device_name = data.aws_ami.launcher[0].root_device_name

    ebs {
      delete_on_termination = true
      encrypted             = true
      volume_size           = 30
      volume_type           = "gp3"
    }
  }

  dynamic "tag_specifications" {
    for_each = ["instance", "volume"]

    content {
      resource_type = tag_specifications.value
      tags          = local.launcher_tags
    }
  }

  lifecycle {
    precondition {
      condition     = contains(data.aws_ec2_instance_type.launcher[0].supported_architectures, "x86_64") && data.aws_ami.launcher[0].architecture == "x86_64"
      error_message = "The machine and the image of `schedule` must be x86-64: so are the packages in the bucket."
    }
    precondition {
      # In base64, because EC2 counts bytes and length() characters.
      condition     = length(base64encode(local.launcher_user_data)) <= ceil(16384 / 3) * 4
      error_message = "bootstrap/trainer.sh has outgrown the 16 KiB of EC2's user data."
    }
  }
}

resource "aws_autoscaling_group" "launcher" {
  count = local.scheduled

  name                      = local.launcher_group
  min_size                  = 0
  desired_capacity          = 0
  max_size                  = 1
  vpc_zone_identifier       = [for zone in local.zones : local.subnets[zone]]
  health_check_type         = "EC2"
  wait_for_capacity_timeout = "0"
  suspended_processes       = ["AZRebalance"] # it would end the machine in the middle of its work

  launch_template {
    id      = aws_launch_template.launcher[0].id
    version = aws_launch_template.launcher[0].latest_version
  }

  dynamic "tag" {
    for_each = local.launcher_tags

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = true
    }
  }

  lifecycle {
    ignore_changes = [desired_capacity] # the schedule sets it
  }

  # While a machine lives it needs its way to the bucket and out, and the right to leave, also when everything is being destroyed.
  depends_on = [
    aws_route.nat,
    aws_route_table_association.private,
    aws_vpc_endpoint.s3,
    aws_vpc_security_group_egress_rule.launcher,
  ]
}

# Only the size: the machine itself makes its group smaller again. If it still works when the next time comes, nothing happens.
resource "aws_autoscaling_schedule" "launcher" {
  count = local.scheduled

  scheduled_action_name  = local.launcher_group
  autoscaling_group_name = aws_autoscaling_group.launcher[0].name
  recurrence             = var.schedule.time
  time_zone              = var.schedule.time_zone
  desired_capacity       = 1
  min_size               = -1 # stays as it is
  max_size               = -1

  lifecycle {
    ignore_changes = [start_time] # AWS answers with the next time
  }
}

# A submitter's rights, but it only reads code: what machines execute is sent by `cloudlstm schedule`.

resource "aws_iam_role" "launcher" {
  count = local.scheduled

  name                 = local.launcher_group
  description          = "What the launcher of ${var.name} may do"
  permissions_boundary = var.permissions_boundary
  assume_role_policy   = local.trust_ec2
}

resource "aws_iam_instance_profile" "launcher" {
  count = local.scheduled

  name = aws_iam_role.launcher[0].name
  role = aws_iam_role.launcher[0].name
}

resource "aws_iam_role_policy" "launcher" {
  # checkov:skip=CKV_AWS_355:The calls under "Look", RunJobFlow and PutMetricData take no resource; AWS accepts them on "*" only.
  count = local.scheduled

  name = "launch"
  role = aws_iam_role.launcher[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.use_key, local.submit, local.read_bars, [
      local.list_bucket,
      local.work_on_runs,
      {
        Sid      = "WorkOnTrainersAndLeases"
        Effect   = "Allow"
        Action   = local.read_write
        Resource = ["${local.coordinates}/*", "${local.launcher_coordinates}/leases/*"]
      },
      {
        Sid      = "ReadCodeTargetAndLogs"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = [local.objects["code"], local.objects["logs"], "${local.bucket_arn}/target.json", "${local.launcher_coordinates}/assignment.json"]
      },
      { Sid = "WriteMachineLog", Effect = "Allow", Action = ["s3:PutObject"], Resource = ["${local.launcher_coordinates}/machines/*"] },
      {
        Sid      = "RemoveItself"
        Effect   = "Allow"
        Action   = ["autoscaling:TerminateInstanceInAutoScalingGroup"]
        Resource = [aws_autoscaling_group.launcher[0].arn]
      },
    ])
  })
}
