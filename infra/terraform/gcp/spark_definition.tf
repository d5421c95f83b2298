# The definition of the Spark cluster: the resource Cluster of Dataproc's REST API. `google_dataproc_cluster.spark` takes its values
# from here, and the target document holds all of it: when the cluster has deleted itself, a run makes another one of the same name.
# So nothing here may depend on a cluster.

locals {
  # The distribution's own interpreter. It has no packages in the way of those that come with the job.
  spark_python_path = "/usr/bin/python${var.spark_python}"
  log_uri           = "gs://${google_storage_bucket.spark["staging"].name}/google-cloud-dataproc-metainfo"

  spark_disk = { bootDiskType = "pd-balanced", bootDiskSizeGb = var.spark_disk_gib }

  spark_definition = {
    clusterName = var.name
    labels      = local.labels

    config = merge({
      configBucket = google_storage_bucket.spark["staging"].name
      tempBucket   = google_storage_bucket.spark["temp"].name

      # No zone: Dataproc takes one of the region that has the machines.
      gceClusterConfig = {
        subnetworkUri        = local.subnetwork
        internalIpOnly       = true
        serviceAccount       = google_service_account.spark.email
        serviceAccountScopes = ["https://www.googleapis.com/auth/cloud-platform"]

        shieldedInstanceConfig = {
          enableSecureBoot          = true
          enableVtpm                = true
          enableIntegrityMonitoring = true
        }
      }

      masterConfig = {
        numInstances   = 1
        machineTypeUri = var.spark_machine
        diskConfig     = local.spark_disk
      }

      workerConfig = {
        numInstances   = var.spark_min_nodes
        machineTypeUri = var.spark_machine
        diskConfig     = local.spark_disk
      }

      # Of the same machine type as the workers that stay.
      secondaryWorkerConfig = {
        numInstances   = 0
        preemptibility = var.spark_spot ? "SPOT" : "NON_PREEMPTIBLE"
        diskConfig     = local.spark_disk
      }

      softwareConfig = {
        imageVersion = var.spark_release
        properties   = { "spark:spark.pyspark.python" = local.spark_python_path }
      }

      # The API takes a name with "locations"; the attribute `name` of a policy may have "regions".
      autoscalingConfig = {
        policyUri = "projects/${var.project}/locations/${var.region}/autoscalingPolicies/${google_dataproc_autoscaling_policy.spark.policy_id}"
      }

      lifecycleConfig = { idleDeleteTtl = "${var.spark_idle_minutes * 60}s" }

      initializationActions = [{
        executableFile   = "gs://${google_storage_bucket.target.name}/${google_storage_bucket_object.spark_bootstrap.name}"
        executionTimeout = "${local.spark_bootstrap_seconds}s"
      }]
    }, var.kms_key == null ? {} : { encryptionConfig = { gcePdKmsKeyName = var.kms_key } })
  }

  spark_bootstrap_seconds = 300
}
