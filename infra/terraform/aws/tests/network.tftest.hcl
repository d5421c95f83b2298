# Zones, the network and how EMR reaches its nodes. The provider is a mock: no account, no network, no emulator.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

run "release_8_talks_by_an_endpoint" {
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
    target          = aws_subnet.private["us-east-1a"]
    override_during = plan
    values          = { id = "subnet-a" }
  }

  assert {
    condition     = aws_vpc_endpoint.emr[0].service_name == "aws.api.us-east-1.emr-service-cell01" && aws_vpc_endpoint.emr[0].vpc_endpoint_type == "Interface" && aws_vpc_endpoint.emr[0].private_dns_enabled
    error_message = "Nodes find EMR by the private name of its endpoint."
  }
  assert {
    condition     = aws_vpc_endpoint.emr[0].subnet_ids == toset([aws_emr_cluster.spark.ec2_attributes[0].subnet_id]) && aws_vpc_endpoint.emr[0].security_group_ids == toset(["sg-service"]) && aws_emr_cluster.spark.ec2_attributes[0].service_access_security_group == "sg-service"
    error_message = "The endpoint must lie in the cluster's subnet and carry its service access group."
  }
  assert {
    condition     = { for cidr, rule in aws_vpc_security_group_ingress_rule.emr : cidr => [rule.security_group_id, rule.from_port, rule.to_port, rule.ip_protocol] } == { "10.40.0.0/16" = ["sg-service", 443, 443, "tcp"] }
    error_message = "EMR asks for 443 from the network's addresses into the service access group."
  }
  assert {
    condition = alltrue([for from in ["primary", "node"] : (
      aws_vpc_security_group_ingress_rule.within["${from}-service"].from_port == 443 &&
      aws_vpc_security_group_ingress_rule.within["${from}-service"].security_group_id == "sg-service" &&
      aws_vpc_security_group_egress_rule.within["${from}-service"].from_port == 443 &&
      aws_vpc_security_group_egress_rule.within["${from}-service"].security_group_id == "sg-${from}"
    )])
    error_message = "Both kinds of nodes must be let out to the endpoint, and into it."
  }
  assert {
    condition     = !contains(concat([for rule in aws_vpc_security_group_ingress_rule.within : rule.from_port], [for rule in aws_vpc_security_group_egress_rule.within : rule.from_port]), 8443)
    error_message = "Ports of release 7 need not be open."
  }
  assert {
    condition     = aws_vpc_endpoint.emr[0].tags["for-use-with-amazon-emr-managed-policies"] == "true" && aws_vpc.main[0].enable_dns_hostnames
    error_message = "EMR must be allowed to use the endpoint, and nodes to find it."
  }
}

run "release_7_needs_none_and_scarce_machines_choose_zones" {
  command = plan

  variables {
    spark_release = "emr-7.14.0"
    trainer_zones = 3
  }
  override_resource {
    target          = aws_subnet.private["us-east-1b"]
    override_during = plan
    values          = { id = "subnet-b" }
  }
  override_data {
    target          = data.aws_ec2_instance_type_offerings.spark
    override_during = plan
    values          = { locations = ["us-east-1c", "us-east-1b"] }
  }
  override_data {
    target          = data.aws_ec2_instance_type_offerings.trainer
    override_during = plan
    values          = { locations = ["us-east-1c", "us-east-1a"] }
  }

  assert {
    condition     = length(aws_vpc_endpoint.emr) + length(aws_vpc_endpoint.services) + length(aws_vpc_security_group_ingress_rule.emr) == 0
    error_message = "No endpoint that nobody uses: each costs 1 cent an hour."
  }
  assert {
    condition = { for key, rule in aws_vpc_security_group_ingress_rule.within : key => rule.from_port if strcontains(key, "service") } == {
      primary-service = 9443, service-node = 8443, service-primary = 8443
    }
    error_message = "EMR 7 and its nodes connect to each other."
  }
  assert {
    condition     = aws_subnet.public[0].availability_zone == "us-east-1b" && aws_emr_cluster.spark.ec2_attributes[0].subnet_id == "subnet-b"
    error_message = "Spark and the NAT gateway go to the first zone that offers the machine."
  }
  assert {
    condition     = output.trainer_zones == ["us-east-1a", "us-east-1c"]
    error_message = "Zones without the trainers' machines are passed over."
  }
}

run "a_network_that_exists" {
  command = plan

  variables {
    network = { vpc_id = "vpc-1", subnet_ids = ["subnet-b", "subnet-a"] }
  }
  override_data {
    target          = data.aws_subnet.given["subnet-a"]
    override_during = plan
    values          = { vpc_id = "vpc-1", availability_zone = "us-east-1a", map_public_ip_on_launch = false, tags = { for-use-with-amazon-emr-managed-policies = "true" } }
  }
  override_data {
    target          = data.aws_subnet.given["subnet-b"]
    override_during = plan
    values          = { vpc_id = "vpc-1", availability_zone = "us-east-1b", map_public_ip_on_launch = false, tags = { for-use-with-amazon-emr-managed-policies = "true" } }
  }

  assert {
    condition     = length(aws_vpc.main) + length(aws_subnet.private) + length(aws_nat_gateway.out) + length(aws_internet_gateway.out) + length(aws_vpc_endpoint.s3) + length(aws_route_table.private) + length(aws_default_security_group.unused) == 0
    error_message = "Nothing of a network may be made."
  }
  assert {
    condition     = aws_emr_cluster.spark.ec2_attributes[0].subnet_id == "subnet-b" && aws_autoscaling_group.trainers.vpc_zone_identifier == toset(["subnet-b"]) && output.trainer_zones == ["us-east-1b"]
    error_message = "Machines go to the given subnets, in their order."
  }
  assert {
    condition     = aws_security_group.trainers.vpc_id == "vpc-1" && aws_vpc_endpoint.emr[0].vpc_id == "vpc-1" && keys(aws_vpc_security_group_ingress_rule.emr) == ["172.16.0.0/16"]
    error_message = "Groups and the endpoint belong to the given network, and its addresses may reach EMR."
  }
}

run "endpoints_that_exist" {
  command = plan

  variables {
    egress  = "none"
    network = { vpc_id = "vpc-1", subnet_ids = ["subnet-a"], endpoints = false }
  }
  override_data {
    target          = data.aws_subnet.given
    override_during = plan
    values          = { vpc_id = "vpc-1", availability_zone = "us-east-1a", map_public_ip_on_launch = false, tags = { for-use-with-amazon-emr-managed-policies = "true" } }
  }

  assert {
    condition     = length(aws_vpc_endpoint.emr) + length(aws_vpc_endpoint.services) + length(aws_security_group.endpoints) == 0
    error_message = "A second endpoint of the same private name would be refused."
  }
}

run "a_network_that_does_not_do" {
  command = plan

  variables {
    network = { vpc_id = "vpc-1", subnet_ids = ["subnet-a", "subnet-b", "subnet-c"] }
  }
  override_data {
    target          = data.aws_vpc.given
    override_during = plan
    values          = { enable_dns_support = true, enable_dns_hostnames = false }
  }
  override_data {
    target          = data.aws_subnet.given["subnet-a"]
    override_during = plan
    values          = { vpc_id = "vpc-1", availability_zone = "us-east-1a", map_public_ip_on_launch = true, tags = { for-use-with-amazon-emr-managed-policies = "true" } }
  }
  override_data {
    target          = data.aws_subnet.given["subnet-b"]
    override_during = plan
    values          = { vpc_id = "vpc-1", availability_zone = "us-east-1b", map_public_ip_on_launch = false, tags = {} }
  }
  override_data {
    target          = data.aws_subnet.given["subnet-c"]
    override_during = plan
    values          = { vpc_id = "vpc-2", availability_zone = "us-east-1c", map_public_ip_on_launch = false, tags = { for-use-with-amazon-emr-managed-policies = "true" } }
  }

  expect_failures = [
    data.aws_vpc.given, data.aws_subnet.given["subnet-a"], data.aws_subnet.given["subnet-b"], data.aws_subnet.given["subnet-c"],
  ]
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

run "machines_that_no_zone_offers" {
  command = plan

  override_data {
    target          = data.aws_ec2_instance_type_offerings.spark
    override_during = plan
    values          = { locations = [] }
  }
  override_data {
    target          = data.aws_ec2_instance_type_offerings.trainer
    override_during = plan
    values          = { locations = [] }
  }

  expect_failures = [data.aws_ec2_instance_type_offerings.spark, data.aws_ec2_instance_type_offerings.trainer]
}
