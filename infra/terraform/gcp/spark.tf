# The Spark cluster that an apply makes: a master, workers that stay, and workers that come and go with the work. What it is made of
# stands in spark_definition.tf.

# Dataproc passes no arguments to its scripts, so the argument is part of the text.
resource "google_storage_bucket_object" "spark_bootstrap" {
  bucket = google_storage_bucket.target.name
  name   = "spark-node.sh"
  content = join("\n", [
    "#!/usr/bin/env bash",
    "set -- '${local.spark_python_path}'",
    file("${path.module}/../../../bootstrap/spark-node.sh"),
  ])
}

resource "google_dataproc_autoscaling_policy" "spark" {
  policy_id = var.name
  location  = var.region

  # Workers that stay hold HDFS, which is slow to leave; those that come and go hold none.
  worker_config {
    min_instances = var.spark_min_nodes
    max_instances = var.spark_min_nodes
  }

  secondary_worker_config {
    min_instances = 0
    max_instances = var.spark_max_nodes - var.spark_min_nodes
  }

  basic_algorithm {
    cooldown_period = "120s"

    yarn_config {
      graceful_decommission_timeout = "3600s" # a worker that leaves may hold a driver
      scale_up_factor               = 1
      scale_down_factor             = 1
    }
  }
}

# Google says that a grant typically counts after 2 minutes, and that 7 are possible. Without its rights a cluster ends in an
# error, and must be made again.
resource "time_sleep" "spark_rights" {
  create_duration = "150s"

  # A new account or other rights are waited for again.
  triggers = {
    account = google_service_account.spark.unique_id
    role    = google_project_iam_member.spark.role
    rights  = var.spark_project_role == null ? sha256(join(" ", google_project_iam_custom_role.spark[0].permissions)) : ""
    objects = join(" ", sort([
      for grant in concat(
        values(google_storage_bucket_iam_member.spark), values(google_storage_bucket_iam_member.spark_buckets),
        [google_storage_bucket_iam_member.target["spark"], google_storage_bucket_iam_member.work["spark-read"]],
        [google_storage_bucket_iam_member.work["spark-work"], google_storage_bucket_iam_member.list["spark"]],
      ) : "${grant.bucket} ${grant.role}"
    ]))
  }
}

resource "google_dataproc_cluster" "spark" {
  # checkov:skip=CKV_GCP_91:Google encrypts these disks; `kms_key` is for those whose rules ask for a key of their own.
  name   = local.spark_definition.clusterName
  region = var.region
  labels = local.spark_definition.labels

  cluster_config {
    staging_bucket = local.spark_definition.config.configBucket
    temp_bucket    = local.spark_definition.config.tempBucket

    gce_cluster_config {
      subnetwork             = local.spark_definition.config.gceClusterConfig.subnetworkUri
      internal_ip_only       = local.spark_definition.config.gceClusterConfig.internalIpOnly
      service_account        = local.spark_definition.config.gceClusterConfig.serviceAccount
      service_account_scopes = local.spark_definition.config.gceClusterConfig.serviceAccountScopes

      shielded_instance_config {
        enable_secure_boot          = local.spark_definition.config.gceClusterConfig.shieldedInstanceConfig.enableSecureBoot
        enable_vtpm                 = local.spark_definition.config.gceClusterConfig.shieldedInstanceConfig.enableVtpm
        enable_integrity_monitoring = local.spark_definition.config.gceClusterConfig.shieldedInstanceConfig.enableIntegrityMonitoring
      }
    }

    master_config {
      num_instances = local.spark_definition.config.masterConfig.numInstances
      machine_type  = local.spark_definition.config.masterConfig.machineTypeUri

      disk_config {
        boot_disk_type    = local.spark_definition.config.masterConfig.diskConfig.bootDiskType
        boot_disk_size_gb = local.spark_definition.config.masterConfig.diskConfig.bootDiskSizeGb
      }
    }

    worker_config {
      num_instances = local.spark_definition.config.workerConfig.numInstances
      machine_type  = local.spark_definition.config.workerConfig.machineTypeUri

      disk_config {
        boot_disk_type    = local.spark_definition.config.workerConfig.diskConfig.bootDiskType
        boot_disk_size_gb = local.spark_definition.config.workerConfig.diskConfig.bootDiskSizeGb
      }
    }

    # Secondary workers, in Dataproc's words.
    preemptible_worker_config {
      num_instances  = local.spark_definition.config.secondaryWorkerConfig.numInstances
      preemptibility = local.spark_definition.config.secondaryWorkerConfig.preemptibility

      disk_config {
        boot_disk_type    = local.spark_definition.config.secondaryWorkerConfig.diskConfig.bootDiskType
        boot_disk_size_gb = local.spark_definition.config.secondaryWorkerConfig.diskConfig.bootDiskSizeGb
      }
    }

    software_config {
      image_version       = local.spark_definition.config.softwareConfig.imageVersion
      override_properties = local.spark_definition.config.softwareConfig.properties
    }

    autoscaling_config {
      policy_uri = local.spark_definition.config.autoscalingConfig.policyUri
    }

    dynamic "encryption_config" {
      for_each = var.kms_key == null ? [] : [local.spark_definition.config.encryptionConfig]

      content {
        kms_key_name = encryption_config.value.gcePdKmsKeyName
      }
    }

    lifecycle_config {
      idle_delete_ttl = local.spark_definition.config.lifecycleConfig.idleDeleteTtl
    }

    dynamic "initialization_action" {
      for_each = local.spark_definition.config.initializationActions

      content {
        script      = initialization_action.value.executableFile
        timeout_sec = local.spark_bootstrap_seconds
      }
    }
  }

  lifecycle {
    ignore_changes = [cluster_config[0].preemptible_worker_config[0].num_instances] # the policy changes it
  }

  # Destroy the cluster before the resources that it needs to start and to stop.
  depends_on = [
    google_compute_firewall.spark,
    google_compute_router_nat.out,
    google_project_iam_member.spark,
    google_storage_bucket_iam_member.bars,
    google_storage_bucket_iam_member.list,
    google_storage_bucket_iam_member.spark,
    google_storage_bucket_iam_member.spark_buckets,
    google_storage_bucket_iam_member.target,
    google_storage_bucket_iam_member.work,
    time_sleep.spark_rights,
  ]
}
