# The definition of the Spark cluster: the arguments with which EMR's RunJobFlow makes it. `aws_emr_cluster.spark` takes its values
# from here, and the target document holds all of it: when the cluster has ended itself, a run makes another one with RunJobFlow.
# So nothing here may depend on a cluster.

locals {
  spark_python_path = "/usr/bin/python${var.spark_python}"
  spark_spot        = var.spark_spot_max_usd != null
  log_uri           = "${local.bucket_uri}/logs"

  # With spot, the nodes above the least number come from the spot market, and only those that stay hold files or are on demand.
  spark_stable_nodes = local.spark_spot ? var.spark_min_nodes : var.spark_max_nodes

  spark_definition = {
    Name                  = var.name
    ReleaseLabel          = var.spark_release
    LogUri                = "${local.log_uri}/"
    Applications          = [{ Name = "Spark" }]
    ServiceRole           = aws_iam_role.spark_service.arn
    JobFlowRole           = aws_iam_instance_profile.spark_node.arn
    SecurityConfiguration = aws_emr_security_configuration.spark.name
    StepConcurrencyLevel  = 4
    Tags                  = [for key, value in merge(local.tags, local.emr_tags) : { Key = key, Value = value }]

    Instances = {
      KeepJobFlowAliveWhenNoSteps   = true
      TerminationProtected          = false
      UnhealthyNodeReplacement      = true
      Ec2SubnetId                   = local.subnets[local.spark_zone]
      EmrManagedMasterSecurityGroup = aws_security_group.spark["primary"].id
      EmrManagedSlaveSecurityGroup  = aws_security_group.spark["node"].id
      ServiceAccessSecurityGroup    = aws_security_group.spark["service"].id

      InstanceGroups = concat(
        [
          { InstanceRole = "MASTER", InstanceType = var.spark_machine, InstanceCount = 1, Market = "ON_DEMAND" },
          { InstanceRole = "CORE", InstanceType = var.spark_machine, InstanceCount = var.spark_min_nodes, Market = "ON_DEMAND" },
        ],
        # Nodes from the spot market hold no files of the cluster and no driver, so losing one costs only its tasks.
        local.spark_spot ? [{
          Name          = "spot"
          InstanceRole  = "TASK"
          InstanceType  = var.spark_machine
          InstanceCount = 1
          Market        = "SPOT"
          BidPrice      = format("%.4f", coalesce(var.spark_spot_max_usd, 0))
        }] : [],
      )
    }

    BootstrapActions = [{
      Name = "interpreter"
      ScriptBootstrapAction = {
        Path = "${local.bucket_uri}/${aws_s3_object.spark_bootstrap.key}"
        Args = [local.spark_python_path]
      }
    }]

    Configurations = concat(
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
    )

    AutoTerminationPolicy = { IdleTimeout = var.spark_idle_minutes * 60 }

    ManagedScalingPolicy = {
      ComputeLimits = {
        UnitType                     = "Instances"
        MinimumCapacityUnits         = var.spark_min_nodes
        MaximumCapacityUnits         = var.spark_max_nodes
        MaximumCoreCapacityUnits     = local.spark_stable_nodes
        MaximumOnDemandCapacityUnits = local.spark_stable_nodes
      }
    }
  }
}
