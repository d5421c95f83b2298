# Security groups. EMR adds missing rules to the first three, and these refer to each other: hence the revocation.

resource "aws_security_group" "spark" {
  for_each = {
    primary = "Spark: the primary node"
    node    = "Spark: core and task nodes"
    service = "Spark: through which EMR reaches nodes in private subnets"
  }

  name                   = "${var.name}-spark-${each.key}"
  description            = each.value
  vpc_id                 = local.network_id
  revoke_rules_on_delete = true
  tags                   = merge(local.emr_tags, { Name = "${var.name}-spark-${each.key}" })
}

resource "aws_security_group" "trainers" {
  name                   = "${var.name}-trainers"
  description            = "Trainers: all TCP among themselves, nothing else comes in"
  vpc_id                 = local.network_id
  revoke_rules_on_delete = true
  tags                   = { Name = "${var.name}-trainers" }
}

resource "aws_security_group" "endpoints" {
  count = length(local.services) > 0 ? 1 : 0

  name        = "${var.name}-endpoints"
  description = "Endpoints of services: HTTPS from trainers"
  vpc_id      = local.network_id
  tags        = { Name = "${var.name}-endpoints" }
}

locals {
  groups = merge(
    { for key, group in aws_security_group.spark : key => group.id },
    { for group in aws_security_group.endpoints : "endpoints" => group.id },
    { trainers = aws_security_group.trainers.id },
  )

  # Connections between groups: [from, to, first port, last port]; null: everything.
  flows = concat(
    [for pair in setproduct(["primary", "node"], ["primary", "node"]) : [pair[0], pair[1], null, null]],
    # How EMR and its nodes talk, by release: nodes connect to an endpoint, or both sides connect to each other.
    [for from in ["primary", "node"] : [from, "service", 443, 443] if local.emr_by_endpoint],
    [for to in ["primary", "node"] : ["service", to, 8443, 8443] if !local.emr_by_endpoint],
    [for from in ["primary"] : [from, "service", 9443, 9443] if !local.emr_by_endpoint],
    # Every port: NCCL listens on ports that are not known in advance.
    [["trainers", "trainers", 0, 65535]],
    [for group in aws_security_group.endpoints : ["trainers", "endpoints", 443, 443]],
  )

  rules = { for flow in local.flows : "${flow[0]}-${flow[1]}" => {
    from = local.groups[flow[0]], to = local.groups[flow[1]], protocol = flow[2] == null ? "-1" : "tcp", ports = [flow[2], flow[3]]
  } }

  # To S3, to endpoints and, where egress allows it, to the services of AWS, to package indexes and to Yahoo.
  web = { for pair in setproduct(["primary", "node", "trainers"], [80, 443]) : "${pair[0]}-${pair[1]}" => {
    from = local.groups[pair[0]], port = pair[1]
  } }
}

resource "aws_vpc_security_group_ingress_rule" "within" {
  for_each = local.rules

  security_group_id            = each.value.to
  referenced_security_group_id = each.value.from
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.ports[0]
  to_port                      = each.value.ports[1]
  description                  = each.key
}

# EMR asks for this very rule, with the network's addresses, before it starts a cluster of release 8.
resource "aws_vpc_security_group_ingress_rule" "emr" {
  for_each = toset(local.emr_by_endpoint ? local.network_cidrs : [])

  security_group_id = aws_security_group.spark["service"].id
  cidr_ipv4         = each.key
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  description       = "network-service"
}

resource "aws_vpc_security_group_egress_rule" "within" {
  for_each = local.rules

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
