# Which zones and subnets machines get: letters of zones differ between accounts, and not every zone has every machine.

locals {
  # Old zones without NAT gateways, newer machine types or many endpoint services. Their ids are the same for every account.
  old_zone_ids = ["use1-az3", "usw1-az2", "cac1-az3", "apne1-az3"]
}

data "aws_availability_zones" "here" {
  count = local.own_network

  state            = "available"
  exclude_zone_ids = local.old_zone_ids

  filter {
    name   = "zone-name"
    values = [for letter in var.zones : "${var.region}${letter}"]
  }

  lifecycle {
    postcondition {
      condition     = length(self.names) > 0
      error_message = "Region ${var.region} offers this account none of the zones ${join(", ", var.zones)}, or only such as lack NAT gateways."
    }
  }
}

# A network that exists, if the variable `network` names one.

data "aws_vpc" "given" {
  count = 1 - local.own_network

  id = var.network.vpc_id

  lifecycle {
    postcondition {
      condition     = self.enable_dns_support && self.enable_dns_hostnames
      error_message = "The network ${self.id} needs enableDnsSupport and enableDnsHostnames: machines find endpoints by name."
    }
  }
}

data "aws_subnet" "given" {
  for_each = toset(var.network == null ? [] : var.network.subnet_ids)

  id = each.key

  lifecycle {
    postcondition {
      condition     = self.vpc_id == var.network.vpc_id
      error_message = "The subnet ${self.id} is not in the network ${var.network.vpc_id} but in ${self.vpc_id}."
    }
    postcondition {
      condition     = !self.map_public_ip_on_launch
      error_message = "The subnet ${self.id} gives machines public addresses; private subnets are needed."
    }
    postcondition {
      condition     = lookup(self.tags, "for-use-with-amazon-emr-managed-policies", "") == "true"
      error_message = "EMR may not use the subnet ${self.id} before it has a tag: aws ec2 create-tags --resources ${self.id} --tags Key=for-use-with-amazon-emr-managed-policies,Value=true"
    }
  }
}

locals {
  zones = (
    var.network == null
    ? [for letter in var.zones : "${var.region}${letter}" if contains(data.aws_availability_zones.here[0].names, "${var.region}${letter}")]
    : distinct([for id in var.network.subnet_ids : data.aws_subnet.given[id].availability_zone])
  )

  # Zone to subnet.
  subnets = (
    var.network == null
    ? { for zone in local.zones : zone => aws_subnet.private[zone].id }
    : { for zone in local.zones : zone => [for id in var.network.subnet_ids : id if data.aws_subnet.given[id].availability_zone == zone][0] }
  )
}

# Zones without the machine are passed over.

data "aws_ec2_instance_type_offerings" "spark" {
  location_type = "availability-zone"

  filter {
    name   = "instance-type"
    values = [var.spark_machine]
  }
  filter {
    name   = "location"
    values = local.zones
  }

  lifecycle {
    postcondition {
      condition     = length(self.locations) > 0
      error_message = "None of the zones ${join(", ", local.zones)} offers ${var.spark_machine}: choose other zones or another spark_machine."
    }
  }
}

data "aws_ec2_instance_type_offerings" "trainer" {
  location_type = "availability-zone"

  filter {
    name   = "instance-type"
    values = local.trainer_machines
  }
  filter {
    name   = "location"
    values = local.zones
  }

  lifecycle {
    postcondition {
      condition     = length(self.locations) > 0
      error_message = "None of the zones ${join(", ", local.zones)} offers ${join(" or ", local.trainer_machines)}: choose other zones or other trainer_machines."
    }
  }
}

locals {
  spark_zone      = [for zone in local.zones : zone if contains(data.aws_ec2_instance_type_offerings.spark.locations, zone)][0]
  trainer_offered = [for zone in local.zones : zone if contains(data.aws_ec2_instance_type_offerings.trainer.locations, zone)]
  trainer_zones   = slice(local.trainer_offered, 0, min(var.trainer_zones, length(local.trainer_offered)))
}
