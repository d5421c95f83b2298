# The definition with which a run starts the Spark cluster again. The provider is a mock: no account, no network, no emulator.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

run "defaults" {
  command = plan

  override_resource {
    target          = aws_security_group.spark["primary"]
    override_during = plan
    values          = { id = "sg-primary" }
  }
  override_resource {
    target          = aws_security_group.spark["node"]
    override_during = plan
    values          = { id = "sg-node" }
  }
  override_resource {
    target          = aws_security_group.spark["service"]
    override_during = plan
    values          = { id = "sg-service" }
  }
  override_resource {
    target          = aws_iam_role.spark_service
    override_during = plan
    values          = { arn = "arn:aws:iam::123456789012:role/spark-service" }
  }
  override_resource {
    target          = aws_iam_role.spark_node
    override_during = plan
    values          = { arn = "arn:aws:iam::123456789012:role/spark-node" }
  }
  override_data {
    target          = data.aws_service_principal.of["ec2"]
    override_during = plan
    values          = { name = "ec2.amazonaws.com" }
  }
  override_data {
    target          = data.aws_service_principal.of["elasticmapreduce"]
    override_during = plan
    values          = { name = "elasticmapreduce.amazonaws.com" }
  }

  assert {
    condition = output.spark_definition == {
      Name                  = "cloudlstm"
      ReleaseLabel          = "emr-spark-8.1.0"
      LogUri                = "s3://cloudlstm-123456789012-us-east-1/logs/"
      Applications          = [{ Name = "Spark" }]
      ServiceRole           = "arn:aws:iam::123456789012:role/spark-service"
      JobFlowRole           = "arn:aws:iam::123456789012:instance-profile/mock"
      SecurityConfiguration = "cloudlstm-spark"
      StepConcurrencyLevel  = 4
      Tags = [
        { Key = "cloudlstm", Value = "cloudlstm" },
        { Key = "for-use-with-amazon-emr-managed-policies", Value = "true" },
      ]
      Instances = {
        KeepJobFlowAliveWhenNoSteps   = true
        TerminationProtected          = false
        UnhealthyNodeReplacement      = true
        Ec2SubnetId                   = "subnet-mock"
        EmrManagedMasterSecurityGroup = "sg-primary"
        EmrManagedSlaveSecurityGroup  = "sg-node"
        ServiceAccessSecurityGroup    = "sg-service"
        InstanceGroups = [
          { InstanceRole = "MASTER", InstanceType = "m6i.xlarge", InstanceCount = 1, Market = "ON_DEMAND" },
          { InstanceRole = "CORE", InstanceType = "m6i.xlarge", InstanceCount = 2, Market = "ON_DEMAND" },
        ]
      }
      BootstrapActions = [{
        Name                  = "interpreter"
        ScriptBootstrapAction = { Path = "s3://cloudlstm-123456789012-us-east-1/bootstrap/spark-node.sh", Args = ["/usr/bin/python3.11"] }
      }]
      Configurations        = [{ Classification = "spark-defaults", Properties = { "spark.pyspark.python" = "/usr/bin/python3.11" } }]
      AutoTerminationPolicy = { IdleTimeout = 3600 }
      ManagedScalingPolicy = {
        ComputeLimits = {
          UnitType                     = "Instances"
          MinimumCapacityUnits         = 2
          MaximumCapacityUnits         = 4
          MaximumCoreCapacityUnits     = 4
          MaximumOnDemandCapacityUnits = 4
        }
      }
    }
    error_message = "The definition must hold every argument, by the names of RunJobFlow."
  }
  assert {
    condition     = jsondecode(aws_s3_object.target.content).spark_definition == jsondecode(jsonencode(output.spark_definition))
    error_message = "The target document must hold the definition."
  }
  assert {
    condition = {
      for statement in jsondecode(aws_iam_role_policy.submitter.policy).Statement : statement.Sid => [statement.Action, statement.Resource, statement.Condition]
      if strcontains(jsonencode(statement.Action), "elasticmapreduce:") && statement.Sid != "Look" || contains(statement.Action, "iam:PassRole")
      } == {
      StartSpark      = [["elasticmapreduce:RunJobFlow"], ["*"], { StringEquals = { "aws:RequestTag/cloudlstm" = "cloudlstm" } }]
      TagSpark        = [["elasticmapreduce:AddTags"], ["arn:aws:elasticmapreduce:us-east-1:123456789012:cluster/*"], { StringEquals = { "aws:RequestTag/cloudlstm" = "cloudlstm" } }]
      LimitSpark      = [["elasticmapreduce:PutAutoTerminationPolicy", "elasticmapreduce:PutManagedScalingPolicy"], ["arn:aws:elasticmapreduce:us-east-1:123456789012:cluster/*"], { StringEqualsIfExists = { "elasticmapreduce:ResourceTag/cloudlstm" = "cloudlstm" } }]
      PassServiceRole = [["iam:PassRole"], ["arn:aws:iam::123456789012:role/spark-service"], { StringEquals = { "iam:PassedToService" = "elasticmapreduce.amazonaws.com" } }]
      PassNodeRole    = [["iam:PassRole"], ["arn:aws:iam::123456789012:role/spark-node"], { StringEquals = { "iam:PassedToService" = "ec2.amazonaws.com" } }]
      RunSteps = [
        ["elasticmapreduce:AddJobFlowSteps", "elasticmapreduce:CancelSteps", "elasticmapreduce:DescribeCluster", "elasticmapreduce:DescribeStep", "elasticmapreduce:ListSteps"],
        ["arn:aws:elasticmapreduce:us-east-1:123456789012:cluster/*"], { StringEquals = { "elasticmapreduce:ResourceTag/cloudlstm" = "cloudlstm" } }
      ]
    }
    error_message = "A submitter may start a cluster with our tag and these two roles only, and run steps on clusters with our tag only."
  }
  assert {
    condition     = contains(one([for statement in jsondecode(aws_iam_role_policy.submitter.policy).Statement : statement.Action if statement.Sid == "Look"]), "elasticmapreduce:ListClusters")
    error_message = "A submitter must find the cluster that another run has started."
  }
}

run "with_spot_and_other_choices" {
  command = plan

  variables {
    name               = "mine"
    kms_key            = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    schedule           = { time = "30 18 * * 1-5", time_zone = "America/New_York", models = ["core6"] }
    spark_idle_minutes = 30
    spark_machine      = "m7i.2xlarge"
    spark_max_nodes    = 9
    spark_min_nodes    = 3
    spark_spot_max_usd = 0.192
    tags               = { department = "research" }
  }

  assert {
    condition = output.spark_definition.Instances.InstanceGroups == [
      { InstanceRole = "MASTER", InstanceType = "m7i.2xlarge", InstanceCount = 1, Market = "ON_DEMAND" },
      { InstanceRole = "CORE", InstanceType = "m7i.2xlarge", InstanceCount = 3, Market = "ON_DEMAND" },
      { Name = "spot", InstanceRole = "TASK", InstanceType = "m7i.2xlarge", InstanceCount = 1, Market = "SPOT", BidPrice = "0.1920" },
    ]
    error_message = "Further nodes must come from the spot market, at most at the price that was named."
  }
  assert {
    condition     = output.spark_definition.ManagedScalingPolicy.ComputeLimits == { UnitType = "Instances", MinimumCapacityUnits = 3, MaximumCapacityUnits = 9, MaximumCoreCapacityUnits = 3, MaximumOnDemandCapacityUnits = 3 }
    error_message = "Only the nodes that stay are on demand."
  }
  assert {
    condition = output.spark_definition.Configurations[1] == {
      Classification = "yarn-site"
      Properties     = { "yarn.node-labels.am.default-node-label-expression" = "CORE", "yarn.node-labels.enabled" = "true" }
    }
    error_message = "Drivers must keep off nodes that the spot market may take back."
  }
  assert {
    condition     = output.spark_definition.AutoTerminationPolicy.IdleTimeout == 1800 && output.spark_definition.Name == "mine"
    error_message = "The cluster must end itself when it has been idle for as long as asked."
  }
  assert {
    condition     = { for tag in output.spark_definition.Tags : tag.Key => tag.Value } == { cloudlstm = "mine", department = "research", for-use-with-amazon-emr-managed-policies = "true" }
    error_message = "The cluster must have the further tags, too."
  }
  assert {
    condition = [for statement in jsondecode(aws_iam_role_policy.launcher[0].policy).Statement : jsonencode(statement) if contains(["StartSpark", "TagSpark", "LimitSpark", "PassServiceRole", "PassNodeRole", "RunSteps", "Look"], statement.Sid)] == [
      for statement in jsondecode(aws_iam_role_policy.submitter.policy).Statement : jsonencode(statement) if contains(["StartSpark", "TagSpark", "LimitSpark", "PassServiceRole", "PassNodeRole", "RunSteps", "Look"], statement.Sid)
    ]
    error_message = "A launcher must be allowed to start the cluster as a submitter is."
  }
}
