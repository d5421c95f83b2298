# Machines live in private subnets and reach S3 by a gateway endpoint, which costs nothing.

data "aws_availability_zones" "here" {
  state = "available"

  filter {
    name   = "zone-name"
    values = [for letter in var.zones : "${var.region}${letter}"]
  }

  lifecycle {
    postcondition {
      condition     = length(self.names) > 0
      error_message = "Region ${var.region} offers this account none of the zones ${join(", ", var.zones)}."
    }
  }
}

locals {
  zones = [for letter in var.zones : "${var.region}${letter}" if contains(data.aws_availability_zones.here.names, "${var.region}${letter}")]

  # AmazonEMRServicePolicy_v2 lets the service change only resources with this tag.
  emr_tags = { for-use-with-amazon-emr-managed-policies = "true" }
}

resource "aws_vpc" "main" {
  # checkov:skip=CKV2_AWS_11:Flow logs cost more than the network itself; turn them on where your rules ask for them.
  cidr_block           = var.network_cidr
  enable_dns_hostnames = true
  enable_dns_support   = true
  tags                 = merge(local.emr_tags, { Name = var.name })
}

# By default members of a network's default group can connect to each other; this one has no rules, so they cannot.
resource "aws_default_security_group" "unused" {
  vpc_id = aws_vpc.main.id
}

resource "aws_subnet" "private" {
  for_each = toset(local.zones)

  vpc_id            = aws_vpc.main.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.network_cidr, 3, index(var.zones, trimprefix(each.key, var.region)))
  tags              = merge(local.emr_tags, { Name = "${var.name}-private-${each.key}" })
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.main.id
  tags   = { Name = "${var.name}-private" }
}

resource "aws_route_table_association" "private" {
  for_each = aws_subnet.private

  subnet_id      = each.value.id
  route_table_id = aws_route_table.private.id
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.main.id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.private.id]
  tags              = { Name = "${var.name}-s3" }
}

# The way out, unless egress is "none".

resource "aws_internet_gateway" "out" {
  count = var.egress == "nat" ? 1 : 0

  vpc_id = aws_vpc.main.id
  tags   = { Name = var.name }
}

resource "aws_subnet" "public" {
  count = var.egress == "nat" ? 1 : 0

  vpc_id            = aws_vpc.main.id
  availability_zone = local.zones[0]
  cidr_block        = cidrsubnet(var.network_cidr, 3, 7)
  tags              = { Name = "${var.name}-public" }
}

resource "aws_route_table" "public" {
  count = var.egress == "nat" ? 1 : 0

  vpc_id = aws_vpc.main.id
  tags   = { Name = "${var.name}-public" }
}

resource "aws_route" "public" {
  count = var.egress == "nat" ? 1 : 0

  route_table_id         = aws_route_table.public[0].id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.out[0].id
}

resource "aws_route_table_association" "public" {
  count = var.egress == "nat" ? 1 : 0

  subnet_id      = aws_subnet.public[0].id
  route_table_id = aws_route_table.public[0].id
}

resource "aws_eip" "nat" {
  count = var.egress == "nat" ? 1 : 0

  domain = "vpc"
  tags   = { Name = "${var.name}-nat" }
}

resource "aws_nat_gateway" "out" {
  count = var.egress == "nat" ? 1 : 0

  allocation_id = aws_eip.nat[0].id
  subnet_id     = aws_subnet.public[0].id
  tags          = { Name = var.name }
  depends_on    = [aws_internet_gateway.out]
}

resource "aws_route" "nat" {
  count = var.egress == "nat" ? 1 : 0

  route_table_id         = aws_route_table.private.id
  destination_cidr_block = "0.0.0.0/0"
  nat_gateway_id         = aws_nat_gateway.out[0].id
}

# Security groups. EMR adds missing rules to the first three, and these refer to each other: hence the revocation.

resource "aws_security_group" "spark" {
  for_each = {
    primary = "Spark: the primary node"
    node    = "Spark: core and task nodes"
    service = "Spark: through which EMR reaches nodes in private subnets"
  }

  name                   = "${var.name}-spark-${each.key}"
  description            = each.value
  vpc_id                 = aws_vpc.main.id
  revoke_rules_on_delete = true
  tags                   = merge(local.emr_tags, { Name = "${var.name}-spark-${each.key}" })
}

resource "aws_security_group" "trainers" {
  name                   = "${var.name}-trainers"
  description            = "Trainers: all TCP among themselves, nothing else comes in"
  vpc_id                 = aws_vpc.main.id
  revoke_rules_on_delete = true
  tags                   = { Name = "${var.name}-trainers" }
}

locals {
  # Allowed connections within the network; protocol "-1" means all.
  flows = merge(
    { for pair in setproduct(["primary", "node"], ["primary", "node"]) : "${pair[0]}-${pair[1]}" => {
      from = aws_security_group.spark[pair[0]].id, to = aws_security_group.spark[pair[1]].id, protocol = "-1", ports = [null, null]
    } },
    { for to in ["primary", "node"] : "service-${to}" => {
      from = aws_security_group.spark["service"].id, to = aws_security_group.spark[to].id, protocol = "tcp", ports = [8443, 8443]
    } },
    { primary-service = {
      from = aws_security_group.spark["primary"].id, to = aws_security_group.spark["service"].id, protocol = "tcp", ports = [9443, 9443]
    } },
    # Every port: NCCL listens on ports that are not known in advance.
    { trainers-trainers = {
      from = aws_security_group.trainers.id, to = aws_security_group.trainers.id, protocol = "tcp", ports = [0, 65535]
    } },
  )

  # To S3 and, where egress allows it, to the services of AWS, to package indexes and to Yahoo.
  web = { for pair in setproduct(["primary", "node", "trainers"], [80, 443]) : "${pair[0]}-${pair[1]}" => {
    from = pair[0] == "trainers" ? aws_security_group.trainers.id : aws_security_group.spark[pair[0]].id, port = pair[1]
  } }
}

resource "aws_vpc_security_group_ingress_rule" "within" {
  for_each = local.flows

  security_group_id            = each.value.to
  referenced_security_group_id = each.value.from
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.ports[0]
  to_port                      = each.value.ports[1]
  description                  = each.key
}

resource "aws_vpc_security_group_egress_rule" "within" {
  for_each = local.flows

  security_group_id            = each.value.from
  referenced_security_group_id = each.value.to
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.ports[0]
  to_port                      = each.value.ports[1]
  description                  = each.key
}

resource "aws_vpc_security_group_egress_rule" "web" {
  for_each = local.web

  security_group_id = each.value.from
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
  description       = each.key
}
