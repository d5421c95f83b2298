# The definition with which a run starts the Spark cluster again. The provider is a mock: no account, no network, no emulator.

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
    condition = jsondecode(jsonencode(output.spark_definition)) == {
      clusterName = "cloudlstm"
      labels      = { cloudlstm = "cloudlstm" }
      config = {
        configBucket = "cloudlstm-my-project-staging"
        tempBucket   = "cloudlstm-my-project-temp"
        gceClusterConfig = {
          subnetworkUri          = "projects/my-project/regions/us-central1/subnetworks/mock"
          internalIpOnly         = true
          serviceAccount         = "mock@my-project.iam.gserviceaccount.com"
          serviceAccountScopes   = ["https://www.googleapis.com/auth/cloud-platform"]
          shieldedInstanceConfig = { enableSecureBoot = true, enableVtpm = true, enableIntegrityMonitoring = true }
        }
        masterConfig          = { numInstances = 1, machineTypeUri = "n2-standard-4", diskConfig = { bootDiskType = "pd-balanced", bootDiskSizeGb = 50 } }
        workerConfig          = { numInstances = 2, machineTypeUri = "n2-standard-4", diskConfig = { bootDiskType = "pd-balanced", bootDiskSizeGb = 50 } }
        secondaryWorkerConfig = { numInstances = 0, preemptibility = "NON_PREEMPTIBLE", diskConfig = { bootDiskType = "pd-balanced", bootDiskSizeGb = 50 } }
        softwareConfig        = { imageVersion = "2.3-debian12", properties = { "spark:spark.pyspark.python" = "/usr/bin/python3.11" } }
        autoscalingConfig     = { policyUri = "projects/my-project/locations/us-central1/autoscalingPolicies/cloudlstm" }
        lifecycleConfig       = { idleDeleteTtl = "3600s" }
        initializationActions = [{ executableFile = "gs://cloudlstm-my-project-target/spark-node.sh", executionTimeout = "300s" }]
      }
    }
    error_message = "The definition must hold every field, by the names of the REST API."
  }
  assert {
    condition     = jsondecode(google_storage_bucket_object.target.content).spark_definition == jsondecode(jsonencode(output.spark_definition))
    error_message = "The target document must hold the definition."
  }
  assert {
    condition = length(setsubtract([
      "dataproc.autoscalingPolicies.use", "dataproc.clusters.create", "dataproc.clusters.get",
    ], google_project_iam_custom_role.submitter.permissions)) == 0
    error_message = "A submitter must be allowed to start the cluster, and to see that it runs."
  }
  assert {
    condition     = !contains(google_project_iam_custom_role.submitter.permissions, "dataproc.clusters.delete") && !contains(google_project_iam_custom_role.submitter.permissions, "dataproc.clusters.update")
    error_message = "A cluster deletes itself; nobody who submits may end or change those of others."
  }
  assert {
    condition     = keys(google_service_account_iam_member.acts_as) == ["spark", "trainer"] && alltrue([for grant in google_service_account_iam_member.acts_as : grant.role == "roles/iam.serviceAccountUser"])
    error_message = "What a submitter starts acts as the accounts of Spark nodes and of trainers, and as no other."
  }
}

run "with_spot_and_other_choices" {
  command = plan

  variables {
    bucket             = "cloudlstm-my-project"
    kms_key            = "projects/keys/locations/us-central1/keyRings/ring/cryptoKeys/cloud"
    labels             = { team = "quant" }
    name               = "mine"
    network            = { subnetwork = "projects/host/regions/us-central1/subnetworks/shared" }
    schedule           = { time = "30 18 * * 1-5", time_zone = "America/New_York", models = ["core6"] }
    spark_disk_gib     = 60
    spark_idle_minutes = 30
    spark_machine      = "n2-standard-8"
    spark_min_nodes    = 3
    spark_python       = "3.13"
    spark_release      = "3.0-debian13"
    spark_spot         = true
  }

  assert {
    condition     = output.spark_definition.config.encryptionConfig == { gcePdKmsKeyName = var.kms_key }
    error_message = "The key must encrypt the disks of every cluster."
  }
  assert {
    condition = (
      output.spark_definition.config.secondaryWorkerConfig.preemptibility == "SPOT"
      && output.spark_definition.config.secondaryWorkerConfig.diskConfig.bootDiskSizeGb == 60
    )
    error_message = "Further workers must come from the spot market."
  }
  assert {
    condition = jsondecode(jsonencode({
      name    = output.spark_definition.clusterName, labels = output.spark_definition.labels
      subnet  = output.spark_definition.config.gceClusterConfig.subnetworkUri
      workers = output.spark_definition.config.workerConfig, idle = output.spark_definition.config.lifecycleConfig
      policy  = output.spark_definition.config.autoscalingConfig.policyUri, software = output.spark_definition.config.softwareConfig
      })) == {
      name     = "mine", labels = { cloudlstm = "mine", team = "quant" }
      subnet   = "projects/host/regions/us-central1/subnetworks/shared"
      workers  = { numInstances = 3, machineTypeUri = "n2-standard-8", diskConfig = { bootDiskType = "pd-balanced", bootDiskSizeGb = 60 } }
      idle     = { idleDeleteTtl = "1800s" }
      policy   = "projects/my-project/locations/us-central1/autoscalingPolicies/mine"
      software = { imageVersion = "3.0-debian13", properties = { "spark:spark.pyspark.python" = "/usr/bin/python3.13" } }
    }
    error_message = "The definition must follow the variables."
  }
  assert {
    condition = (
      google_project_iam_member.launcher["submit"].role == google_project_iam_member.submitter.role
      && google_service_account_iam_member.launcher_acts_as["spark"].role == "roles/iam.serviceAccountUser"
      && keys(google_service_account_iam_member.launcher_acts_as) == ["spark", "trainer"]
    )
    error_message = "A launcher must be allowed to start the cluster as a submitter is."
  }
}
