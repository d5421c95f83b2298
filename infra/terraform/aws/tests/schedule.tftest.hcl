# The launcher that comes by a schedule. The provider is a mock: no account, no network, no emulator.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

run "none_by_default" {
  command = plan

  assert {
    condition = 0 == sum([
      length(aws_autoscaling_group.launcher), length(aws_autoscaling_schedule.launcher), length(aws_launch_template.launcher),
      length(aws_security_group.launcher), length(aws_vpc_security_group_egress_rule.launcher), length(aws_iam_role.launcher),
      length(aws_iam_role_policy.launcher), length(aws_iam_instance_profile.launcher), length(data.aws_ami.launcher),
    ])
    error_message = "Without a schedule nothing of it is made."
  }
  assert {
    condition     = jsondecode(aws_s3_object.target.content).schedule == null && !strcontains(aws_iam_role_policy.submitter.policy, "launcher")
    error_message = "The target document says that there is none, and nobody has rights for it."
  }
}

run "a_schedule" {
  command = plan

  variables {
    schedule = { time = "30 18 * * 1-5", time_zone = "America/New_York", models = ["core6", "sp50"], max_usd = 40 }
  }

  assert {
    condition = alltrue([
      aws_autoscaling_schedule.launcher[0].recurrence == "30 18 * * 1-5", aws_autoscaling_schedule.launcher[0].time_zone == "America/New_York",
      aws_autoscaling_schedule.launcher[0].desired_capacity == 1, aws_autoscaling_schedule.launcher[0].min_size == -1,
      aws_autoscaling_schedule.launcher[0].max_size == -1, aws_autoscaling_schedule.launcher[0].autoscaling_group_name == "cloudlstm-launcher",
    ])
    error_message = "The schedule sets the size of its group to 1, and no other bound."
  }
  assert {
    condition     = aws_autoscaling_group.launcher[0].min_size == 0 && aws_autoscaling_group.launcher[0].desired_capacity == 0 && aws_autoscaling_group.launcher[0].max_size == 1
    error_message = "The launcher's group must begin empty and never have two."
  }
  assert {
    condition = jsondecode(aws_s3_object.target.content).schedule == {
      time   = "30 18 * * 1-5", time_zone = "America/New_York", models = ["core6", "sp50"], max_usd = 40, group = "cloudlstm-launcher",
      job    = "cloudlstm-launcher", machine = "m7i.large", max_hours = 8, python = "",
      target = "s3://cloudlstm-123456789012-us-east-1/target.json"
    }
    error_message = "The target document must tell the schedule."
  }
  assert {
    condition = alltrue([
      for line in ["CLOUDLSTM_GROUP='cloudlstm-launcher'", "CLOUDLSTM_MAX_HOURS='8'", "CLOUDLSTM_GPU='none'"] :
      strcontains(base64decode(aws_launch_template.launcher[0].user_data), "export ${line}\n")
    ])
    error_message = "The machine must know its group and its longest life."
  }
  assert {
    condition     = keys(aws_vpc_security_group_egress_rule.launcher) == ["443", "80"] && length(aws_launch_template.launcher[0].network_interfaces) == 0
    error_message = "The launcher has no public address, and nothing comes in."
  }
  assert {
    condition = length(setsubtract(
      flatten([for statement in jsondecode(aws_iam_role_policy.launcher[0].policy).Statement : statement.Action]),
      concat(flatten([for statement in jsondecode(aws_iam_role_policy.submitter.policy).Statement : statement.Action]), ["autoscaling:TerminateInstanceInAutoScalingGroup"])
    )) == 0
    error_message = "A launcher may do what a submitter may, and leave its group."
  }
  assert {
    condition = [
      for statement in jsondecode(aws_iam_role_policy.launcher[0].policy).Statement : statement.Action
      if length([for each in statement.Resource : each if endswith(each, "/code/*") || endswith(each, "assignment.json")]) > 0
    ] == [["s3:GetObject"]]
    error_message = "A launcher may only read what machines execute."
  }
  assert {
    condition     = strcontains(aws_iam_role_policy.submitter.policy, "/trainers/cloudlstm-launcher/*")
    error_message = "A submitter sends the launcher's assignment."
  }
}

run "no_sensible_schedule" {
  command = plan

  variables {
    schedule = { time = "every day", time_zone = "New York", models = [], max_usd = 0, max_hours = 24, python = "python3" }
  }

  expect_failures = [var.schedule]
}

run "no_way_out" {
  command = plan

  variables {
    egress   = "none"
    schedule = { time = "30 18 * * 1-5", time_zone = "America/New_York", models = ["core6"] }
  }

  expect_failures = [var.schedule]
}

run "graviton" {
  command = plan

  variables {
    schedule = { time = "30 18 * * 1-5", time_zone = "America/New_York", models = ["core6"], machine = "m7g.large" }
  }
  override_data {
    target          = data.aws_ec2_instance_type.launcher
    override_during = plan
    values          = { supported_architectures = ["arm64"] }
  }

  expect_failures = [aws_launch_template.launcher]
}
