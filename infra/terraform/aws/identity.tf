# Four roles with minimal rights: EMR itself, Spark nodes, trainers, and users who submit runs and start the Spark cluster. With `schedule` there is a fifth
# one, in schedule.tf.

locals {
  objects     = { for prefix in ["runs", "code", "bootstrap", "logs"] : prefix => "${local.bucket_arn}/${prefix}/*" }
  coordinates = "${local.bucket_arn}/trainers/${local.trainer_group}" # lease, assignment, machines' logs

  # Without the right to list, S3 answers "forbidden" instead of "not found".
  list_bucket = {
    Sid      = "ListBucket"
    Effect   = "Allow"
    Action   = ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"]
    Resource = [local.bucket_arn]
  }

  read_write = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]

  work_on_runs = {
    Sid      = "WorkOnRuns"
    Effect   = "Allow"
    Action   = local.read_write
    Resource = [local.objects["runs"]]
  }

  # S3 encrypts and decrypts on behalf of whoever reads and writes.
  use_key = var.kms_key == null ? [] : [{
    Sid       = "UseKeyOfTheBucket"
    Effect    = "Allow"
    Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
    Resource  = [var.kms_key]
    Condition = { StringEquals = { "kms:ViaService" = "s3.${var.region}.${data.aws_partition.current.dns_suffix}" } }
  }]

  read_bars = length(var.read_buckets) == 0 ? [] : [{
    Sid      = "ReadBars"
    Effect   = "Allow"
    Action   = ["s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation"]
    Resource = flatten([for bucket in var.read_buckets : ["arn:${local.partition}:s3:::${bucket}", "arn:${local.partition}:s3:::${bucket}/*"]])
  }]

  # The cluster's id changes with each start, so the tag says which cluster is ours.
  clusters = "arn:${local.partition}:elasticmapreduce:${var.region}:${local.account}:cluster/*"

  # What starting the cluster by local.spark_definition takes. AWS's pages on EMR ask for RunJobFlow and PassRole, and let a
  # condition on the request's tags say which clusters may be made ("IAM policies for tag-based access"). RunJobFlow has no resource.
  # Since April 2023 it also needs AddTags if it gives tags; EMR checks that right on "cluster/*". The page "Using an
  # auto-termination policy" asks whoever applies one for PutAutoTerminationPolicy; PutManagedScalingPolicy is the same kind of
  # right. Both know only the tags that a cluster has, and one that is being made has none yet: hence IfExists.
  start_spark = [
    {
      Sid       = "StartSpark"
      Effect    = "Allow"
      Action    = ["elasticmapreduce:RunJobFlow"]
      Resource  = ["*"]
      Condition = { StringEquals = { "aws:RequestTag/cloudlstm" = var.name } }
    },
    {
      Sid       = "TagSpark"
      Effect    = "Allow"
      Action    = ["elasticmapreduce:AddTags"]
      Resource  = [local.clusters]
      Condition = { StringEquals = { "aws:RequestTag/cloudlstm" = var.name } }
    },
    {
      Sid       = "LimitSpark"
      Effect    = "Allow"
      Action    = ["elasticmapreduce:PutAutoTerminationPolicy", "elasticmapreduce:PutManagedScalingPolicy"]
      Resource  = [local.clusters]
      Condition = { StringEqualsIfExists = { "elasticmapreduce:ResourceTag/cloudlstm" = var.name } }
    },
    {
      Sid       = "PassServiceRole"
      Effect    = "Allow"
      Action    = ["iam:PassRole"]
      Resource  = [aws_iam_role.spark_service.arn]
      Condition = { StringEquals = { "iam:PassedToService" = data.aws_service_principal.of["elasticmapreduce"].name } }
    },
    {
      Sid       = "PassNodeRole"
      Effect    = "Allow"
      Action    = ["iam:PassRole"]
      Resource  = [aws_iam_role.spark_node.arn]
      Condition = { StringEquals = { "iam:PassedToService" = data.aws_service_principal.of["ec2"].name } }
    },
  ]

  # What a submit calls besides objects.
  submit = concat(local.start_spark, [
    {
      Sid    = "RunSteps"
      Effect = "Allow"
      Action = [
        "elasticmapreduce:AddJobFlowSteps", "elasticmapreduce:CancelSteps", "elasticmapreduce:DescribeCluster",
        "elasticmapreduce:DescribeStep", "elasticmapreduce:ListSteps",
      ]
      Resource  = [local.clusters]
      Condition = { StringEquals = { "elasticmapreduce:ResourceTag/cloudlstm" = var.name } }
    },
    {
      Sid    = "ScaleTrainers"
      Effect = "Allow"
      Action = [
        "autoscaling:SetDesiredCapacity", "autoscaling:PutScheduledUpdateGroupAction",
        "autoscaling:DeleteScheduledAction", "autoscaling:TerminateInstanceInAutoScalingGroup",
      ]
      Resource = [aws_autoscaling_group.trainers.arn]
    },
    {
      Sid       = "SendFigures"
      Effect    = "Allow"
      Action    = ["cloudwatch:PutMetricData"]
      Resource  = ["*"]
      Condition = { StringEquals = { "cloudwatch:namespace" = "cloudlstm" } }
    },
    {
      Sid      = "ReadQuotas"
      Effect   = "Allow"
      Action   = ["servicequotas:GetServiceQuota"]
      Resource = ["arn:${local.partition}:servicequotas:${var.region}:${local.account}:ec2/*"]
    },
    {
      Sid    = "Look"
      Effect = "Allow"
      Action = [
        "autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeScalingActivities",
        "autoscaling:DescribeScheduledActions", "ec2:DescribeAddresses", "ec2:DescribeInstances",
        "ec2:DescribeInstanceTypes", "ec2:DescribeVpcEndpoints", "elasticmapreduce:ListClusters",
        "servicequotas:GetAWSDefaultServiceQuota", "tag:GetResources",
      ]
      Resource = ["*"]
    },
  ])

  trust_ec2 = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = data.aws_service_principal.of["ec2"].name } }]
  })
}

data "aws_service_principal" "of" {
  for_each = toset(["ec2", "elasticmapreduce"])

  service_name = each.key
  region       = var.region
}

# EMR itself.

resource "aws_iam_role" "spark_service" {
  name                 = "${var.name}-spark-service"
  description          = "What EMR may do for the cluster ${var.name}"
  permissions_boundary = var.permissions_boundary

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = data.aws_service_principal.of["elasticmapreduce"].name }
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:elasticmapreduce:${var.region}:${local.account}:*" }
      }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "spark_service" {
  role       = aws_iam_role.spark_service.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AmazonEMRServicePolicy_v2"
}

resource "aws_iam_role_policy" "spark_service" {
  name = "pass-node-role"
  role = aws_iam_role.spark_service.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "PassNodeRole"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = aws_iam_role.spark_node.arn
        Condition = { StringEquals = { "iam:PassedToService" = data.aws_service_principal.of["ec2"].name } }
      }],
      # An account that never used the spot market lacks that service's role, and the managed policy does not let EMR make it.
      local.spark_spot ? [{
        Sid       = "FirstUseOfSpot"
        Effect    = "Allow"
        Action    = "iam:CreateServiceLinkedRole"
        Resource  = "arn:${local.partition}:iam::${local.account}:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"
        Condition = { StringEquals = { "iam:AWSServiceName" = "spot.amazonaws.com" } }
      }] : [],
    )
  })
}

# Spark nodes: the driver and the executors.

resource "aws_iam_role" "spark_node" {
  name                 = "${var.name}-spark-node"
  description          = "What Spark nodes of ${var.name} may do"
  permissions_boundary = var.permissions_boundary
  assume_role_policy   = local.trust_ec2
}

resource "aws_iam_instance_profile" "spark_node" {
  name = aws_iam_role.spark_node.name
  role = aws_iam_role.spark_node.name
}

resource "aws_iam_role_policy" "spark_node" {
  name = "storage"
  role = aws_iam_role.spark_node.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        local.list_bucket,
        local.work_on_runs,
        { Sid = "ReadCode", Effect = "Allow", Action = ["s3:GetObject"], Resource = [local.objects["code"], local.objects["bootstrap"]] },
        { Sid = "WriteLogs", Effect = "Allow", Action = ["s3:PutObject"], Resource = [local.objects["logs"]] },
      ],
      local.use_key,
      local.read_bars,
    )
  })
}

# Trainers.

resource "aws_iam_role" "trainer" {
  name                 = "${var.name}-trainer"
  description          = "What trainer machines of ${var.name} may do"
  permissions_boundary = var.permissions_boundary
  assume_role_policy   = local.trust_ec2
}

resource "aws_iam_instance_profile" "trainer" {
  name = aws_iam_role.trainer.name
  role = aws_iam_role.trainer.name
}

resource "aws_iam_role_policy" "trainer" {
  # checkov:skip=CKV_AWS_355:The calls of Session Manager, which `debug_access` allows, take no resource.
  # checkov:skip=CKV_AWS_290:As above.
  name = "training"
  role = aws_iam_role.trainer.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        local.list_bucket,
        local.work_on_runs,
        { Sid = "ReadCode", Effect = "Allow", Action = ["s3:GetObject"], Resource = [local.objects["code"]] },
        { Sid = "ReadAssignment", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${local.coordinates}/assignment.json"] },
        { Sid = "WriteMachineLog", Effect = "Allow", Action = ["s3:PutObject"], Resource = ["${local.coordinates}/machines/*"] },
        {
          Sid      = "RemoveItself"
          Effect   = "Allow"
          Action   = ["autoscaling:TerminateInstanceInAutoScalingGroup"]
          Resource = [aws_autoscaling_group.trainers.arn]
        },
      ],
      local.use_key,
      var.debug_access ? [{
        Sid    = "SessionManager"
        Effect = "Allow"
        Action = [
          "ssm:UpdateInstanceInformation", "ssmmessages:CreateControlChannel", "ssmmessages:CreateDataChannel",
          "ssmmessages:OpenControlChannel", "ssmmessages:OpenDataChannel",
        ]
        Resource = ["*"]
      }] : [],
    )
  })
}

# Whoever submits runs.

resource "aws_iam_role" "submitter" {
  name                 = "${var.name}-submitter"
  description          = "What `cloudlstm submit` needs, and no more"
  permissions_boundary = var.permissions_boundary

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { AWS = length(var.submitters) > 0 ? var.submitters : ["arn:${local.partition}:iam::${local.account}:root"] }
    }]
  })
}

resource "aws_iam_role_policy" "submitter" {
  # checkov:skip=CKV_AWS_355:The calls under "Look", RunJobFlow and PutMetricData take no resource; AWS accepts them on "*" only.
  name = "submit"
  role = aws_iam_role.submitter.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.use_key, local.submit, var.schedule == null ? [] : [{
      Sid      = "StopLauncher"
      Effect   = "Allow"
      Action   = ["autoscaling:SetDesiredCapacity"]
      Resource = [aws_autoscaling_group.launcher[0].arn]
      }], [
      local.list_bucket,
      {
        Sid      = "WorkOnRunsAndCode"
        Effect   = "Allow"
        Action   = local.read_write
        Resource = concat([local.objects["runs"], local.objects["code"], "${local.coordinates}/*"], var.schedule == null ? [] : ["${local.launcher_coordinates}/*"])
      },
      {
        Sid      = "ReadTargetAndLogs"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = ["${local.bucket_arn}/target.json", local.objects["logs"]]
      },
    ])
  })
}
