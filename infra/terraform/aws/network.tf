# Machines live in private subnets and reach S3 by a gateway endpoint, which costs nothing. With `network` the subnets of
# a network that exists are used, and nothing of this file is made.

locals {
  own_network = var.network == null ? 1 : 0 # for `count`

  # AmazonEMRServicePolicy_v2 lets the service change only resources with this tag.
  emr_tags = { for-use-with-amazon-emr-managed-policies = "true" }

  network_id    = var.network == null ? aws_vpc.main[0].id : data.aws_vpc.given[0].id
  network_cidrs = var.network == null ? [var.network_cidr] : data.aws_vpc.given[0].cidr_block_associations[*].cidr_block
}

resource "aws_vpc" "main" {
  # checkov:skip=CKV2_AWS_11:Flow logs cost more than the network itself; turn them on where your rules ask for them.
  count = local.own_network

  cidr_block           = var.network_cidr
  enable_dns_hostnames = true
  enable_dns_support   = true
  tags                 = merge(local.emr_tags, { Name = var.name })
}

# By default members of a network's default group can connect to each other; this one has no rules, so they cannot.
resource "aws_default_security_group" "unused" {
  count = local.own_network

  vpc_id = aws_vpc.main[0].id
}

resource "aws_subnet" "private" {
  for_each = toset(var.network == null ? local.zones : [])

  vpc_id            = aws_vpc.main[0].id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.network_cidr, 3, index(var.zones, trimprefix(each.key, var.region)))
  tags              = merge(local.emr_tags, { Name = "${var.name}-private-${each.key}" })
}

resource "aws_route_table" "private" {
  count = local.own_network

  vpc_id = aws_vpc.main[0].id
  tags   = { Name = "${var.name}-private" }
}

resource "aws_route_table_association" "private" {
  for_each = aws_subnet.private

  subnet_id      = each.value.id
  route_table_id = aws_route_table.private[0].id
}

# The way out, unless egress is "none".

locals {
  nat = var.network == null && var.egress == "nat" ? 1 : 0
}

resource "aws_internet_gateway" "out" {
  count = local.nat

  vpc_id = aws_vpc.main[0].id
  tags   = { Name = var.name }
}

# In Spark's zone: what crosses zones on its way out costs a cent a GB more.
resource "aws_subnet" "public" {
  count = local.nat

  vpc_id            = aws_vpc.main[0].id
  availability_zone = local.spark_zone
  cidr_block        = cidrsubnet(var.network_cidr, 3, 7)
  tags              = { Name = "${var.name}-public" }
}

resource "aws_route_table" "public" {
  count = local.nat

  vpc_id = aws_vpc.main[0].id
  tags   = { Name = "${var.name}-public" }
}

resource "aws_route" "public" {
  count = local.nat

  route_table_id         = aws_route_table.public[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.out[0].id
}

resource "aws_route_table_association" "public" {
  count = local.nat

  subnet_id      = aws_subnet.public[0].id
  route_table_id = aws_route_table.public[0].id
}

resource "aws_eip" "nat" {
  count = local.nat

  domain = "vpc"
  tags   = { Name = "${var.name}-nat" }
}

resource "aws_nat_gateway" "out" {
  count = local.nat

  allocation_id = aws_eip.nat[0].id
  subnet_id     = aws_subnet.public[0].id
  tags          = { Name = var.name }
  depends_on    = [aws_internet_gateway.out]
}

resource "aws_route" "nat" {
  count = local.nat

  route_table_id         = aws_route_table.private[0].id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.out[0].id
}
