# Machines live in one private subnet without addresses of their own in the internet, and reach Google's services from it.

data "google_compute_zones" "here" {
  region = var.region

  lifecycle {
    postcondition {
      condition     = length(setintersection(self.names, [for letter in var.zones : "${var.region}-${letter}"])) > 0
      error_message = "Region ${var.region} has none of the zones ${join(", ", var.zones)}."
    }
  }
}

locals {
  zones = [for letter in var.zones : "${var.region}-${letter}" if contains(data.google_compute_zones.here.names, "${var.region}-${letter}")]
}

resource "google_compute_network" "main" {
  name                    = var.name
  description             = "Spark nodes and trainers of ${var.name}"
  auto_create_subnetworks = false
  routing_mode            = "REGIONAL"
}

resource "google_compute_subnetwork" "private" {
  # checkov:skip=CKV_GCP_26:Flow logs cost more than the network itself; turn them on where your rules ask for them.
  # checkov:skip=CKV_GCP_76:The subnet has no IPv6.
  name                     = "${var.name}-private"
  network                  = google_compute_network.main.id
  region                   = var.region
  ip_cidr_range            = var.network_cidr
  private_ip_google_access = true
}

# The way out, unless egress is "none".

resource "google_compute_router" "out" {
  count = var.egress == "nat" ? 1 : 0

  name    = var.name
  network = google_compute_network.main.id
  region  = var.region
}

resource "google_compute_router_nat" "out" {
  count = var.egress == "nat" ? 1 : 0

  name                               = var.name
  router                             = google_compute_router.out[0].name
  region                             = var.region
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "LIST_OF_SUBNETWORKS"
  min_ports_per_vm                   = 256 # a machine that installs its packages opens many connections to one index

  subnetwork {
    name                    = google_compute_subnetwork.private.id
    source_ip_ranges_to_nat = ["ALL_IP_RANGES"]
  }

  log_config {
    enable = true
    filter = "ERRORS_ONLY"
  }
}

# Without a rule no connection is allowed. Rules name service accounts: unlike a tag, a machine cannot give itself one.

resource "google_compute_firewall" "spark" {
  name                    = "${var.name}-spark"
  description             = "Spark nodes talk to one another"
  network                 = google_compute_network.main.id
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
  name                    = local.trainer_group
  description             = "Trainers: all TCP among themselves, nothing else comes in"
  network                 = google_compute_network.main.id
  direction               = "INGRESS"
  source_service_accounts = [google_service_account.trainer.email]
  target_service_accounts = [google_service_account.trainer.email]

  allow {
    protocol = "tcp"
  }
}
