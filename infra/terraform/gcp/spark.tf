# The Spark cluster: a master, workers that stay, and workers that come and go with the work.

locals {
  # The distribution's own interpreter. It has no packages in the way of those that come with the job.
  spark_python_path = "/usr/bin/python${var.spark_python}"
  log_uri           = "gs://${google_storage_bucket.spark["staging"].name}/google-cloud-dataproc-metainfo"
  spark_disk_type   = "pd-balanced"
}

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
  name   = var.name
  region = var.region
  labels = local.labels

  cluster_config {
    staging_bucket = google_storage_bucket.spark["staging"].name
    temp_bucket    = google_storage_bucket.spark["temp"].name

    # No zone: Dataproc takes one of the region that has the machines.
    gce_cluster_config {
      subnetwork             = local.subnetwork
      internal_ip_only       = true
      service_account        = google_service_account.spark.email
      service_account_scopes = ["cloud-platform"]

      shielded_instance_config {
        enable_secure_boot          = true
        enable_vtpm                 = true
        enable_integrity_monitoring = true
      }
    }

    master_config {
      num_instances = 1
      machine_type  = var.spark_machine

      disk_config {
        boot_disk_type    = local.spark_disk_type
        boot_disk_size_gb = var.spark_disk_gib
      }
    }

    worker_config {
      num_instances = var.spark_min_nodes
      machine_type  = var.spark_machine

      disk_config {
        boot_disk_type    = local.spark_disk_type
        boot_disk_size_gb = var.spark_disk_gib
      }
    }

    # Secondary workers, in Dataproc's words; of the same machine type.
    preemptible_worker_config {
      num_instances  = 0
      preemptibility = var.spark_spot ? "SPOT" : "NON_PREEMPTIBLE"

      disk_config {
        boot_disk_type    = local.spark_disk_type
        boot_disk_size_gb = var.spark_disk_gib
      }
    }

    software_config {
      image_version = var.spark_release

      override_properties = {
        "spark:spark.pyspark.python" = local.spark_python_path
      }
    }

    autoscaling_config {
      policy_uri = google_dataproc_autoscaling_policy.spark.name
    }

    dynamic "encryption_config" {
      for_each = var.kms_key == null ? [] : [var.kms_key]

      content {
        kms_key_name = encryption_config.value
      }
    }

    lifecycle_config {
      idle_delete_ttl = "${var.spark_idle_minutes * 60}s"
    }

    initialization_action {
      script      = "gs://${google_storage_bucket.target.name}/${google_storage_bucket_object.spark_bootstrap.name}"
      timeout_sec = 300
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
