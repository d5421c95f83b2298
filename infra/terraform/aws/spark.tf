# The Spark cluster: a primary node, core nodes that stay, and nodes that come and go with the work.

data "aws_ec2_instance_type" "spark" {
  instance_type = var.spark_machine
}

locals {
  spark_architecture = contains(data.aws_ec2_instance_type.spark.supported_architectures, "arm64") ? "aarch64" : "x86_64"
  spark_python_path  = "/usr/bin/python${var.spark_python}"
  spark_spot         = var.spark_spot_max_usd != null
  log_uri            = "${local.bucket_uri}/logs"
}

resource "aws_s3_object" "spark_bootstrap" {
  bucket      = data.aws_s3_bucket.runs.id
  key         = "bootstrap/spark-node.sh"
  source      = "${path.module}/../../../bootstrap/spark-node.sh"
  source_hash = filesha256("${path.module}/../../../bootstrap/spark-node.sh")
}

resource "aws_emr_security_configuration" "spark" {
  # checkov:skip=CKV_AWS_171:Objects are encrypted by the bucket, see storage/storage.tf.
  # checkov:skip=CKV_AWS_349:Local disks hold shuffled prices for minutes, and need a key of one's own, with rights on it for three roles.
  # checkov:skip=CKV_AWS_350:As above; where an account encrypts EBS by default, these disks are encrypted too.
  # checkov:skip=CKV_AWS_351:Nodes talk within one subnet and two security groups; certificates would have to lie in the bucket.
  name = "${var.name}-spark"

  configuration = jsonencode({
    InstanceMetadataServiceConfiguration = {
      MinimumInstanceMetadataServiceVersion = 2
      HttpPutResponseHopLimit               = 1
    }
  })
}

resource "aws_emr_cluster" "spark" {
  name                              = var.name
  release_label                     = var.spark_release
  applications                      = ["Spark"]
  service_role                      = aws_iam_role.spark_service.arn
  security_configuration            = aws_emr_security_configuration.spark.name
  log_uri                           = "${local.log_uri}/"
  keep_job_flow_alive_when_no_steps = true
  termination_protection            = false
  unhealthy_node_replacement        = true
  step_concurrency_level            = 4
  tags                              = local.emr_tags

  ec2_attributes {
    instance_profile                  = aws_iam_instance_profile.spark_node.arn
    subnet_id                         = local.subnets[local.spark_zone]
    emr_managed_master_security_group = aws_security_group.spark["primary"].id
    emr_managed_slave_security_group  = aws_security_group.spark["node"].id
    service_access_security_group     = aws_security_group.spark["service"].id
  }

  master_instance_group {
    instance_type = var.spark_machine
  }

  core_instance_group {
    instance_type  = var.spark_machine
    instance_count = var.spark_min_nodes
  }

  auto_termination_policy {
    idle_timeout = var.spark_idle_minutes * 60
  }

  bootstrap_action {
    name = "interpreter"
    path = "${local.bucket_uri}/${aws_s3_object.spark_bootstrap.key}"
    args = [local.spark_python_path]
  }

  configurations_json = jsonencode(concat(
    [{
      Classification = "spark-defaults"
      Properties     = { "spark.pyspark.python" = local.spark_python_path }
    }],
    # Labels keep drivers off nodes that the spot market may take back.
    local.spark_spot ? [{
      Classification = "yarn-site"
      Properties = {
        "yarn.node-labels.am.default-node-label-expression" = "CORE"
        "yarn.node-labels.enabled"                          = "true"
      }
    }] : [],
  ))

  lifecycle {
    ignore_changes = [
      step,                                  # the launcher adds them
      core_instance_group[0].instance_count, # managed scaling changes it
    ]
  }

  # Destroy the cluster before the resources that it needs to start and to stop.
  depends_on = [
    aws_iam_role_policy.spark_node,
    aws_iam_role_policy.spark_service,
    aws_iam_role_policy_attachment.spark_service,
    aws_route.nat,
    aws_route.public,
    aws_route_table_association.private,
    aws_route_table_association.public,
    aws_vpc_endpoint.emr,
    aws_vpc_endpoint.s3,
    aws_vpc_security_group_egress_rule.web,
    aws_vpc_security_group_egress_rule.within,
    aws_vpc_security_group_ingress_rule.emr,
    aws_vpc_security_group_ingress_rule.within,
  ]
}

# Nodes from the spot market hold no files of the cluster and no driver, so losing one costs only its tasks.
resource "aws_emr_instance_group" "spot" {
  count = local.spark_spot ? 1 : 0

  cluster_id     = aws_emr_cluster.spark.id
  name           = "spot"
  instance_type  = var.spark_machine
  instance_count = 1
  bid_price      = format("%.4f", var.spark_spot_max_usd)

  lifecycle {
    ignore_changes = [instance_count] # managed scaling changes it
  }
}

resource "aws_emr_managed_scaling_policy" "spark" {
  cluster_id = aws_emr_cluster.spark.id

  compute_limits {
    unit_type                       = "Instances"
    minimum_capacity_units          = var.spark_min_nodes
    maximum_capacity_units          = var.spark_max_nodes
    maximum_core_capacity_units     = local.spark_spot ? var.spark_min_nodes : var.spark_max_nodes
    maximum_ondemand_capacity_units = local.spark_spot ? var.spark_min_nodes : var.spark_max_nodes
  }
}
