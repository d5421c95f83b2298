# The Spark cluster that an apply makes: a primary node, core nodes that stay, and nodes that come and go with the work. What it is
# made of stands in spark_definition.tf.

data "aws_ec2_instance_type" "spark" {
  instance_type = var.spark_machine
}

locals {
  spark_architecture = contains(data.aws_ec2_instance_type.spark.supported_architectures, "arm64") ? "aarch64" : "x86_64"
  spark_groups       = { for group in local.spark_definition.Instances.InstanceGroups : group.InstanceRole => group }
  spark_limits       = local.spark_definition.ManagedScalingPolicy.ComputeLimits
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
  name                              = local.spark_definition.Name
  release_label                     = local.spark_definition.ReleaseLabel
  applications                      = local.spark_definition.Applications[*].Name
  service_role                      = local.spark_definition.ServiceRole
  security_configuration            = local.spark_definition.SecurityConfiguration
  log_uri                           = local.spark_definition.LogUri
  keep_job_flow_alive_when_no_steps = local.spark_definition.Instances.KeepJobFlowAliveWhenNoSteps
  termination_protection            = local.spark_definition.Instances.TerminationProtected
  unhealthy_node_replacement        = local.spark_definition.Instances.UnhealthyNodeReplacement
  step_concurrency_level            = local.spark_definition.StepConcurrencyLevel
  configurations_json               = jsonencode(local.spark_definition.Configurations)
  tags                              = local.emr_tags # the provider adds the others

  ec2_attributes {
    instance_profile                  = local.spark_definition.JobFlowRole
    subnet_id                         = local.spark_definition.Instances.Ec2SubnetId
    emr_managed_master_security_group = local.spark_definition.Instances.EmrManagedMasterSecurityGroup
    emr_managed_slave_security_group  = local.spark_definition.Instances.EmrManagedSlaveSecurityGroup
    service_access_security_group     = local.spark_definition.Instances.ServiceAccessSecurityGroup
  }

  master_instance_group {
    instance_type  = local.spark_groups["MASTER"].InstanceType
    instance_count = local.spark_groups["MASTER"].InstanceCount
  }

  core_instance_group {
    instance_type  = local.spark_groups["CORE"].InstanceType
    instance_count = local.spark_groups["CORE"].InstanceCount
  }

  auto_termination_policy {
    idle_timeout = local.spark_definition.AutoTerminationPolicy.IdleTimeout
  }

  dynamic "bootstrap_action" {
    for_each = local.spark_definition.BootstrapActions

    content {
      name = bootstrap_action.value.Name
      path = bootstrap_action.value.ScriptBootstrapAction.Path
      args = bootstrap_action.value.ScriptBootstrapAction.Args
    }
  }

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

resource "aws_emr_instance_group" "spot" {
  count = local.spark_spot ? 1 : 0

  cluster_id     = aws_emr_cluster.spark.id
  name           = local.spark_groups["TASK"].Name
  instance_type  = local.spark_groups["TASK"].InstanceType
  instance_count = local.spark_groups["TASK"].InstanceCount
  bid_price      = local.spark_groups["TASK"].BidPrice

  lifecycle {
    ignore_changes = [instance_count] # managed scaling changes it
  }
}

resource "aws_emr_managed_scaling_policy" "spark" {
  cluster_id = aws_emr_cluster.spark.id

  compute_limits {
    unit_type                       = local.spark_limits.UnitType
    minimum_capacity_units          = local.spark_limits.MinimumCapacityUnits
    maximum_capacity_units          = local.spark_limits.MaximumCapacityUnits
    maximum_core_capacity_units     = local.spark_limits.MaximumCoreCapacityUnits
    maximum_ondemand_capacity_units = local.spark_limits.MaximumOnDemandCapacityUnits
  }
}
