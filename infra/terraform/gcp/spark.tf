# The Spark cluster: a master, workers that stay, and workers that come and go with the work.

locals {
  # The distribution's own interpreter. It has no packages in the way of those that come with the job.
  spark_python_path = "/usr/bin/python${var.spark_python}"
  log_uri           = "gs://${google_storage_bucket.spark["staging"].name}/google-cloud-dataproc-metainfo"
  spark_disk        = { type = "pd-balanced", gib = 100 }
}

# Dataproc passes no arguments to its scripts, so the argument is part of the text.
resource "google_storage_bucket_object" "spark_bootstrap" {
  bucket = google_storage_bucket.runs.name
  name   = "bootstrap/spark-node.sh"
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

resource "google_dataproc_cluster" "spark" {
  # checkov:skip=CKV_GCP_91:Google encrypts these disks; a key of one's own adds cost and rights, and keeps nobody else out.
  name   = var.name
  region = var.region
  labels = { cloudlstm = var.name }

  cluster_config {
    staging_bucket = google_storage_bucket.spark["staging"].name
    temp_bucket    = google_storage_bucket.spark["temp"].name

    # No zone: Dataproc takes one of the region that has the machines.
    gce_cluster_config {
      subnetwork             = google_compute_subnetwork.private.id
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
        boot_disk_type    = local.spark_disk.type
        boot_disk_size_gb = local.spark_disk.gib
      }
    }

    worker_config {
      num_instances = var.spark_min_nodes
      machine_type  = var.spark_machine

      disk_config {
        boot_disk_type    = local.spark_disk.type
        boot_disk_size_gb = local.spark_disk.gib
      }
    }

    # Secondary workers, in Dataproc's words; of the same machine type.
    preemptible_worker_config {
      num_instances  = 0
      preemptibility = var.spark_spot ? "SPOT" : "NON_PREEMPTIBLE"

      disk_config {
        boot_disk_type    = local.spark_disk.type
        boot_disk_size_gb = local.spark_disk.gib
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

    lifecycle_config {
      idle_delete_ttl = "${var.spark_idle_minutes * 60}s"
    }

    initialization_action {
      script      = "${local.bucket_uri}/${google_storage_bucket_object.spark_bootstrap.name}"
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
    google_storage_bucket_iam_member.spark,
  ]
}
