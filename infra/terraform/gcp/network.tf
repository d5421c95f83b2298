# Machines live in one private subnet without addresses of their own in the internet, and reach Google's services from it.

locals {
  own_network = var.network == null
  subnetwork  = local.own_network ? google_compute_subnetwork.private[0].id : var.network.subnetwork
  network     = local.own_network ? google_compute_network.main[0].id : data.google_compute_subnetwork.given[0].network
  firewall    = local.own_network || try(var.network.firewall_rules, true)

  # A shared network belongs to another project, and so do its rules.
  network_project = local.own_network ? var.project : split("/", var.network.subnetwork)[1]
}

# Its route 0.0.0.0/0, which every new network has, also leads to Google's services. Without NAT it leads nowhere else.
resource "google_compute_network" "main" {
  # checkov:skip=CKV2_GCP_18:Its rules stand below; they name the network by a local value, which this check does not follow.
  count = local.own_network ? 1 : 0

  name                    = var.name
  description             = "Spark nodes and trainers of ${var.name}"
  auto_create_subnetworks = false
  routing_mode            = "REGIONAL"
}

resource "google_compute_subnetwork" "private" {
  # checkov:skip=CKV_GCP_26:Flow logs cost more than the network itself; turn them on where your rules ask for them.
  # checkov:skip=CKV_GCP_76:The subnet has no IPv6.
  count = local.own_network ? 1 : 0

  name                     = "${var.name}-private"
  network                  = google_compute_network.main[0].id
  region                   = var.region
  ip_cidr_range            = var.network_cidr
  private_ip_google_access = true
}

data "google_compute_subnetwork" "given" {
  count = local.own_network ? 0 : 1

  project = split("/", var.network.subnetwork)[1]
  region  = split("/", var.network.subnetwork)[3]
  name    = split("/", var.network.subnetwork)[5]

  lifecycle {
    postcondition {
      condition     = self.private_ip_google_access
      error_message = "Subnet ${var.network.subnetwork} has no Private Google Access: without it machines reach no service of Google."
    }
  }
}

# The way out of a network of our own, unless egress is "none".

resource "google_compute_router" "out" {
  count = local.own_network && var.egress == "nat" ? 1 : 0

  name    = var.name
  network = google_compute_network.main[0].id
  region  = var.region
}

resource "google_compute_router_nat" "out" {
  count = local.own_network && var.egress == "nat" ? 1 : 0

  name                               = var.name
  router                             = google_compute_router.out[0].name
  region                             = var.region
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "LIST_OF_SUBNETWORKS"
  min_ports_per_vm                   = 256 # a machine that installs its packages opens many connections to one index

  subnetwork {
    name                    = google_compute_subnetwork.private[0].id
    source_ip_ranges_to_nat = ["ALL_IP_RANGES"]
  }

  log_config {
    enable = true
    filter = "ERRORS_ONLY"
  }
}

# Without a rule no connection is allowed. Rules name service accounts: unlike a tag, a machine cannot give itself one.

resource "google_compute_firewall" "spark" {
  count = local.firewall ? 1 : 0

  project                 = local.network_project
  name                    = "${var.name}-spark"
  description             = "Spark nodes talk to one another"
  network                 = local.network
  direction               = "INGRESS"
  source_service_accounts = [google_service_account.spark.email]
  target_service_accounts = [google_service_account.spark.email]

  allow {
    protocol = "tcp"
  }

  allow {
    protocol = "udp"
  }

  allow {
    protocol = "icmp"
  }
}

# Every port: NCCL listens on ports that are not known in advance.
resource "google_compute_firewall" "trainers" {
  count = local.firewall ? 1 : 0

  project                 = local.network_project
  name                    = local.trainer_group
  description             = "Trainers: all TCP among themselves, nothing else comes in"
  network                 = local.network
  direction               = "INGRESS"
  source_service_accounts = [google_service_account.trainer.email]
  target_service_accounts = [google_service_account.trainer.email]

  allow {
    protocol = "tcp"
  }
}

# Google's Identity-Aware Proxy asks who may come: see debug_access.
resource "google_compute_firewall" "debug" {
  count = var.debug_access && local.firewall ? 1 : 0

  project                 = local.network_project
  name                    = "${var.name}-debug"
  description             = "SSH from Identity-Aware Proxy to Spark nodes and trainers"
  network                 = local.network
  direction               = "INGRESS"
  source_ranges           = ["35.235.240.0/20"]
  target_service_accounts = [google_service_account.spark.email, google_service_account.trainer.email]

  allow {
    protocol = "tcp"
    ports    = ["22"]
  }
}
