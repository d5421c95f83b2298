# Ways to services of AWS that do not lead over the internet.

locals {
  # From release 8 on, nodes in private subnets talk to EMR by this endpoint. EMR would make one by itself and leave it
  # behind, where it blocks the removal of the network: so it is ours.
  emr_by_endpoint = startswith(var.spark_release, "emr-spark-")
  make_endpoints  = var.network == null || try(var.network.endpoints, true)

  # Without a way out trainers could not leave their group: Auto Scaling would replace each that shuts down.
  services = toset(var.egress == "none" && local.make_endpoints ? concat(["autoscaling"], var.debug_access ? ["ssm", "ssmmessages"] : []) : [])
}

resource "aws_vpc_endpoint" "s3" {
  count = local.own_network

  vpc_id            = aws_vpc.main[0].id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.private[0].id]
  tags              = { Name = "${var.name}-s3" }
}

resource "aws_vpc_endpoint" "emr" {
  count = local.emr_by_endpoint && local.make_endpoints ? 1 : 0

  vpc_id              = local.network_id
  service_name        = "aws.api.${var.region}.emr-service-cell01"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = [local.subnets[local.spark_zone]]
  security_group_ids  = [aws_security_group.spark["service"].id]
  private_dns_enabled = true
  tags                = merge(local.emr_tags, { Name = "${var.name}-emr" })
}

resource "aws_vpc_endpoint" "services" {
  for_each = local.services

  vpc_id              = local.network_id
  service_name        = "com.amazonaws.${var.region}.${each.key}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = [for zone in local.trainer_zones : local.subnets[zone]]
  security_group_ids  = [aws_security_group.endpoints[0].id]
  private_dns_enabled = true
  tags                = { Name = "${var.name}-${each.key}" }
}
