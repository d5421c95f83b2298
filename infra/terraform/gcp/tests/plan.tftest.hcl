# What a plan holds under different settings. The provider is a mock: no account, no network, no emulator.

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
    condition     = google_compute_region_instance_group_manager.trainers.target_size == 0
    error_message = "The trainer group must begin empty."
  }
  assert {
    condition = (
      google_compute_region_instance_group_manager.trainers.update_policy[0].type == "OPPORTUNISTIC"
      && google_compute_region_instance_group_manager.trainers.update_policy[0].instance_redistribution_type == "NONE"
    )
    error_message = "Neither a new template nor a better spread may end a working machine."
  }
  assert {
    condition     = length(google_compute_router_nat.out) == 1 && length(google_billing_budget.monthly) == 0
    error_message = "By default there is a NAT gateway, and no budget."
  }
  assert {
    condition = (
      google_dataproc_cluster.spark.cluster_config[0].software_config[0].image_version == "2.3-debian12"
      && google_dataproc_cluster.spark.cluster_config[0].lifecycle_config[0].idle_delete_ttl == "3600s"
    )
    error_message = "The cluster must have the documented image and delete itself when idle."
  }
  assert {
    condition = (
      google_dataproc_cluster.spark.cluster_config[0].staging_bucket == "cloudlstm-my-project-staging"
      && google_dataproc_cluster.spark.cluster_config[0].temp_bucket == "cloudlstm-my-project-temp"
      && alltrue([for bucket in google_storage_bucket.spark : bucket.force_destroy])
    )
    error_message = "Dataproc must use buckets of ours, which a destroy takes along."
  }
  assert {
    condition     = google_dataproc_cluster.spark.cluster_config[0].gce_cluster_config[0].internal_ip_only
    error_message = "Spark nodes have no addresses in the internet."
  }
  assert {
    condition     = startswith(google_storage_bucket_object.spark_bootstrap.content, "#!/usr/bin/env bash\nset -- '/usr/bin/python3.11'\n")
    error_message = "The nodes' script must be told which interpreter is meant."
  }
  assert {
    condition     = one(google_compute_instance_template.trainers.guest_accelerator).type == "nvidia-tesla-t4" && google_compute_instance_template.trainers.machine_type == "n1-standard-4"
    error_message = "A T4 is attached to an n1 machine."
  }
  assert {
    condition = (
      google_compute_instance_template.trainers.scheduling[0].max_run_duration[0].seconds > 12 * 3600
      && google_compute_instance_template.trainers.scheduling[0].instance_termination_action == "DELETE"
      && google_compute_instance_template.trainers.scheduling[0].provisioning_model == "STANDARD"
    )
    error_message = "Compute Engine must delete a machine, but only after its own deadline."
  }
  assert {
    condition     = length(google_compute_instance_template.trainers.network_interface[0].access_config) == 0
    error_message = "Trainers have no addresses in the internet."
  }
  assert {
    condition = (
      google_dataproc_cluster.spark.cluster_config[0].master_config[0].disk_config[0].boot_disk_size_gb * 3
      + one(google_compute_instance_template.trainers.disk).disk_size_gb <= 250
    )
    error_message = "The least cluster and one trainer must go with the 250 GiB of SSD that a new project may have."
  }
  assert {
    condition     = output.target_uri == "gs://cloudlstm-my-project-target/target.json" && output.submitter == google_service_account.submitter.email
    error_message = "Who submits must learn where the target is and as whom to act."
  }
  assert {
    condition     = jsondecode(google_storage_bucket_object.target.content).trainer_machines == ["n1-standard-4"]
    error_message = "The target document must name the machines."
  }
  assert {
    condition     = output.trainer_zones == tolist(["us-central1-a", "us-central1-b", "us-central1-c"])
    error_message = "Trainers start in the zones that were named."
  }
}

run "spot" {
  command = plan

  variables {
    spark_spot   = true
    trainer_spot = true
  }

  assert {
    condition     = google_dataproc_cluster.spark.cluster_config[0].preemptible_worker_config[0].preemptibility == "SPOT"
    error_message = "Spark's further workers must come from the spot market."
  }
  assert {
    condition     = !contains(keys(google_dataproc_cluster.spark.cluster_config[0].software_config[0].override_properties), "dataproc:am.primary_only")
    error_message = "Autoscaling does not go with node labels: YARN then miscounts what is free (YARN-9088)."
  }
  assert {
    condition = (
      google_dataproc_autoscaling_policy.spark.worker_config[0].max_instances == 2
      && google_dataproc_autoscaling_policy.spark.secondary_worker_config[0].max_instances == 2
    )
    error_message = "Only the workers that stay are on demand."
  }
  assert {
    condition     = output.spark_spot && output.trainer_spot
    error_message = "The target must say so: other quotas count."
  }
  assert {
    condition = (
      google_compute_instance_template.trainers.scheduling[0].provisioning_model == "SPOT"
      && google_compute_instance_template.trainers.scheduling[0].preemptible
      && !google_compute_instance_template.trainers.scheduling[0].automatic_restart
    )
    error_message = "Trainers must come from the spot market."
  }
}

run "spark_4" {
  command = plan

  variables {
    spark_python  = "3.13"
    spark_release = "3.0-debian13"
  }

  assert {
    condition     = output.spark_python_path == "/usr/bin/python3.13" && output.spark_release == "3.0-debian13"
    error_message = "Debian 13 has Python 3.13."
  }
}

run "processors_only" {
  command = plan

  variables {
    trainer_gpu = "none"
  }

  assert {
    condition     = strcontains(google_compute_instance_template.trainers.disk[0].source_image, "ubuntu-2404-lts-amd64")
    error_message = "Without a GPU no driver image is needed."
  }
  assert {
    condition     = length(google_compute_instance_template.trainers.guest_accelerator) == 0 && google_compute_instance_template.trainers.shielded_instance_config[0].enable_secure_boot
    error_message = "Without a driver the machine starts what is signed, and nothing else."
  }
}

run "an_image_of_ones_own" {
  command = plan

  variables {
    trainer_image  = "projects/images/global/images/trainer-7"
    trainer_python = "/opt/venv/bin/python"
  }

  assert {
    condition = (
      google_compute_instance_template.trainers.disk[0].source_image == "projects/images/global/images/trainer-7"
      && data.google_compute_image.trainers.name == "trainer-7" && data.google_compute_image.trainers.project == "images"
    )
    error_message = "Trainers start from the image that was named."
  }
  assert {
    condition     = output.trainer_python == "/opt/venv/bin/python"
    error_message = "The target must name the image's Python."
  }
}

run "an_image_larger_than_the_disk" {
  command = plan

  override_data {
    target          = data.google_compute_image.trainers
    values          = { disk_size_gb = 100 }
    override_during = plan
  }

  expect_failures = [google_compute_instance_template.trainers]
}

run "a_key_of_ones_own" {
  command = plan

  variables {
    kms_key = "projects/keys/locations/us-central1/keyRings/ring/cryptoKeys/cloud"
    labels  = { team = "quant" }
  }

  assert {
    condition = alltrue([for key in concat(
      google_dataproc_cluster.spark.cluster_config[0].encryption_config[*].kms_key_name,
      google_compute_instance_template.trainers.disk[0].disk_encryption_key[*].kms_key_self_link,
      flatten([for bucket in concat(values(google_storage_bucket.spark), [google_storage_bucket.target]) : bucket.encryption[*].default_kms_key_name]),
    ) : key == var.kms_key])
    error_message = "No other key may encrypt."
  }
  assert {
    condition = (
      length(google_dataproc_cluster.spark.cluster_config[0].encryption_config) == 1
      && length(google_compute_instance_template.trainers.disk[0].disk_encryption_key) == 1
      && alltrue([for bucket in concat(values(google_storage_bucket.spark), [google_storage_bucket.target]) : length(bucket.encryption) == 1])
    )
    error_message = "The key must encrypt disks and buckets."
  }
  assert {
    condition = (
      google_compute_instance_template.trainers.labels == tomap({ cloudlstm = "cloudlstm", team = "quant" })
      && google_dataproc_cluster.spark.labels == tomap({ cloudlstm = "cloudlstm", team = "quant" })
    )
    error_message = "Machines must carry the further labels, too."
  }
}

run "machines_with_the_gpu_built_in" {
  command = plan

  variables {
    trainer_gpu      = "l4"
    trainer_machines = ["g2-standard-8"]
  }

  assert {
    condition     = length(google_compute_instance_template.trainers.guest_accelerator) == 0 && one(output.trainer_machines) == "g2-standard-8"
    error_message = "An L4 comes with its machine type."
  }
}

run "other_buckets_and_other_submitters" {
  command = plan

  variables {
    read_buckets = ["prices"]
    submitters   = ["user:ann@example.org"]
  }

  assert {
    condition     = google_storage_bucket_iam_member.bars["prices"].role == "roles/storage.objectViewer"
    error_message = "Spark nodes may read bars there, and not write."
  }
  assert {
    condition     = google_service_account_iam_member.submitters["user:ann@example.org"].role == "roles/iam.serviceAccountTokenCreator"
    error_message = "Submitters act as the submitter's account."
  }
}

run "budget" {
  command = plan

  variables {
    budget = { billing_account = "012345-6789AB-CDEF01", monthly_usd = 120, emails = ["team@example.org"], only_tagged = true }
  }

  assert {
    condition = (
      google_billing_budget.monthly[0].amount[0].specified_amount[0].units == "120"
      && google_billing_budget.monthly[0].budget_filter[0].labels == tomap({ cloudlstm = "cloudlstm" })
      && google_billing_budget.monthly[0].budget_filter[0].projects == toset(["projects/123456789012"])
    )
    error_message = "The budget must have its limit, and count only what carries the label."
  }
  assert {
    condition     = google_billing_budget.monthly[0].all_updates_rule[0].monitoring_notification_channels == tolist(["projects/my-project/notificationChannels/1"])
    error_message = "The addresses must be mailed."
  }
}
