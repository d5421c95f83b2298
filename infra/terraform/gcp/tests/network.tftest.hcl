# Networks, ways out and zones.

mock_provider "google" {
  source          = "./tests/mocks"
  override_during = plan
}

mock_provider "time" {
  override_during = plan
}

variables {
  project = "my-project"
}

run "defaults" {
  command = plan

  assert {
    condition = alltrue([for rule in concat(google_compute_firewall.spark, google_compute_firewall.trainers) : (
      rule.direction == "INGRESS" && rule.source_ranges == null && rule.source_service_accounts == rule.target_service_accounts
    )]) && length(google_compute_firewall.spark) == 1 && length(google_compute_firewall.trainers) == 1
    error_message = "Machines take connections from their own kind alone."
  }
  assert {
    condition     = length(google_compute_firewall.debug) == 0
    error_message = "Nobody can log in unless asked for."
  }
  assert {
    condition = (
      google_compute_region_instance_group_manager.trainers.distribution_policy_target_shape == "ANY_SINGLE_ZONE"
      && length(google_compute_region_instance_group_manager.trainers.distribution_policy_zones) == 3
    )
    error_message = "A run's trainers stay in one zone, whichever has room."
  }
}

run "no_way_out" {
  command = plan

  variables {
    egress = "none"
  }

  assert {
    condition     = length(google_compute_router.out) + length(google_compute_router_nat.out) == 0
    error_message = "Without egress nothing may lead out, or cost anything."
  }
  assert {
    condition = (
      output.egress == "none" && google_compute_subnetwork.private[0].private_ip_google_access
      && google_compute_network.main[0].delete_default_routes_on_create != true
    )
    error_message = "Google's services stay in reach, and the target says that the internet does not."
  }
}

run "log_in" {
  command = plan

  variables {
    debug_access = true
  }

  assert {
    condition = (
      google_compute_firewall.debug[0].source_ranges == toset(["35.235.240.0/20"])
      && one(google_compute_firewall.debug[0].allow).ports == tolist(["22"])
    )
    error_message = "SSH is open for Google's proxy, and for nobody else."
  }
}

run "a_network_of_ones_own" {
  command = plan

  variables {
    network = { subnetwork = "projects/host/regions/us-central1/subnetworks/shared" }
  }

  assert {
    condition = (
      length(google_compute_network.main) + length(google_compute_subnetwork.private) + length(google_compute_router.out) + length(google_compute_router_nat.out) == 0
      && google_dataproc_cluster.spark.cluster_config[0].gce_cluster_config[0].subnetwork == "projects/host/regions/us-central1/subnetworks/shared"
      && google_compute_instance_template.trainers.network_interface[0].subnetwork == "projects/host/regions/us-central1/subnetworks/shared"
    )
    error_message = "Machines live in the subnet that was named, and no other network is made."
  }
  assert {
    condition     = alltrue([for rule in concat(google_compute_firewall.spark, google_compute_firewall.trainers) : rule.project == "host" && rule.network == "projects/host/global/networks/shared"])
    error_message = "Rules of a shared network stand in its project."
  }
}

run "a_network_with_rules_of_others" {
  command = plan

  variables {
    debug_access = true
    network      = { subnetwork = "projects/host/regions/us-central1/subnetworks/shared", firewall_rules = false }
  }

  assert {
    condition     = length(google_compute_firewall.spark) + length(google_compute_firewall.trainers) + length(google_compute_firewall.debug) == 0
    error_message = "Who runs the network makes its rules."
  }
}

run "a_subnet_that_reaches_no_service_of_google" {
  command = plan

  variables {
    network = { subnetwork = "projects/host/regions/us-central1/subnetworks/shared" }
  }

  override_data {
    target          = data.google_compute_subnetwork.given[0]
    values          = { private_ip_google_access = false }
    override_during = plan
  }

  expect_failures = [data.google_compute_subnetwork.given]
}

run "trainers_over_two_zones" {
  command = plan

  variables {
    trainer_zones = 2
  }

  assert {
    condition = (
      google_compute_region_instance_group_manager.trainers.distribution_policy_target_shape == "ANY"
      && output.trainer_zones == tolist(["us-central1-a", "us-central1-b"])
      && google_compute_region_instance_group_manager.trainers.update_policy[0].max_unavailable_fixed == 2
    )
    error_message = "Trainers may spread over as many zones as were asked for."
  }
}

run "a_zone_without_the_machine_type" {
  command = plan

  override_data {
    target          = data.google_compute_machine_types.trainers["us-central1-a"]
    values          = { machine_types = [] }
    override_during = plan
  }

  assert {
    condition = (
      output.trainer_zones == tolist(["us-central1-b", "us-central1-c"])
      && google_compute_region_instance_group_manager.trainers.distribution_policy_zones == toset(output.trainer_zones)
    )
    error_message = "A zone without the machine type must be passed over."
  }
}

run "a_machine_type_that_no_zone_has" {
  command = plan

  variables {
    trainer_machines = ["n1-highmem-96"]
  }

  expect_failures = [google_compute_region_instance_group_manager.trainers]
}

run "no_such_zones" {
  command = plan

  variables {
    zones = ["x"]
  }

  expect_failures = [data.google_compute_zones.here]
}
