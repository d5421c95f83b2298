# A network with two private subnets and a way to S3, as a company may have one. It costs nothing. Hand it to the main root:
#   terraform -chdir=examples/aws/own-network init && terraform -chdir=examples/aws/own-network apply
#   echo "network = $(terraform -chdir=examples/aws/own-network output -json network)" > infra/terraform/aws/network.auto.tfvars

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }
}

provider "aws" {
  region = var.region
}

variable "region" {
  description = "AWS region, that of the main root."
  type        = string
  default     = "us-east-1"
}

variable "zones" {
  description = "Letters of two availability zones."
  type        = list(string)
  default     = ["a", "b"]
}

locals {
  # EMR's service role may use only networks and subnets with this tag.
  tags = { Name = "own-network", for-use-with-amazon-emr-managed-policies = "true" }
}

resource "aws_vpc" "own" {
  # checkov:skip=CKV2_AWS_11:Flow logs cost by the GB; a company's network has its own.
  cidr_block           = "10.60.0.0/16"
  enable_dns_hostnames = true # private names of endpoints need both
  enable_dns_support   = true
  tags                 = local.tags
}

# Whatever gets no group of its own reaches nothing.
resource "aws_default_security_group" "own" {
  vpc_id = aws_vpc.own.id
}

resource "aws_subnet" "private" {
  for_each = toset(var.zones)

  vpc_id            = aws_vpc.own.id
  availability_zone = "${var.region}${each.key}"
  cidr_block        = cidrsubnet(aws_vpc.own.cidr_block, 4, index(var.zones, each.key))
  tags              = local.tags
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.own.id
  tags   = local.tags
}

resource "aws_route_table_association" "private" {
  for_each = aws_subnet.private

  route_table_id = aws_route_table.private.id
  subnet_id      = each.value.id
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.own.id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.private.id]
  tags              = local.tags
}

output "network" {
  description = "Value of the main root's variable `network`."
  value = {
    vpc_id     = aws_vpc.own.id
    subnet_ids = [for zone in var.zones : aws_subnet.private[zone].id]
  }
}
