# What AWS would answer, as far as a plan depends on it.

mock_data "aws_availability_zones" {
  defaults = { names = ["us-east-1a", "us-east-1b", "us-east-1c"] }
}

mock_data "aws_caller_identity" {
  defaults = { account_id = "123456789012" }
}

mock_data "aws_partition" {
  defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
}

mock_data "aws_service_principal" {
  defaults = { name = "mock.amazonaws.com" }
}

mock_data "aws_s3_bucket" {
  defaults = { id = "cloudlstm-123456789012-us-east-1", arn = "arn:aws:s3:::cloudlstm-123456789012-us-east-1" }
}

mock_data "aws_ec2_instance_type_offerings" {
  defaults = { locations = ["us-east-1a", "us-east-1b", "us-east-1c"] }
}

mock_data "aws_ami" {
  defaults = {
    id                    = "ami-0123456789abcdef0"
    architecture          = "x86_64"
    root_device_name      = "/dev/xvda"
    block_device_mappings = [{ device_name = "/dev/xvda", ebs = { volume_size = "75" }, no_device = "", virtual_name = "" }]
  }
}

mock_data "aws_vpc" {
  defaults = {
    enable_dns_hostnames    = true
    enable_dns_support      = true
    cidr_block_associations = [{ association_id = "mock", cidr_block = "172.16.0.0/16", state = "associated" }]
  }
}

mock_data "aws_ec2_instance_type" {
  defaults = {
    supported_architectures = ["x86_64"]
    gpus                    = [{ count = 1, manufacturer = "NVIDIA", memory_size = 16384, name = "T4" }]
  }
}

mock_resource "aws_emr_cluster" {
  defaults = { id = "j-MOCK", arn = "arn:aws:elasticmapreduce:us-east-1:123456789012:cluster/j-MOCK" }
}

mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
}

mock_resource "aws_iam_instance_profile" {
  defaults = { arn = "arn:aws:iam::123456789012:instance-profile/mock" }
}

mock_resource "aws_launch_template" {
  defaults = { id = "lt-0123456789abcdef0", latest_version = 1 }
}

mock_resource "aws_autoscaling_group" {
  defaults = { arn = "arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:mock:autoScalingGroupName/cloudlstm-trainers" }
}

mock_resource "aws_security_group" {
  defaults = { id = "sg-mock" }
}

mock_resource "aws_subnet" {
  defaults = { id = "subnet-mock" }
}
