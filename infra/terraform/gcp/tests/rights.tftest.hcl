# Who may do what, and where Terraform's own objects lie.

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
    condition     = google_project_iam_member.spark.role == google_project_iam_custom_role.spark[0].name
    error_message = "roles/dataproc.worker would reach the objects of every bucket of the project."
  }
  assert {
    condition     = alltrue([for permission in google_project_iam_custom_role.spark[0].permissions : !startswith(permission, "storage.")])
    error_message = "On the project Spark nodes may do nothing to objects."
  }
  assert {
    condition = length(setsubtract([
      "dataproc.agents.create", "dataproc.agents.delete", "dataproc.agents.get", "dataproc.agents.update", "dataproc.tasks.lease",
      "dataproc.tasks.listInvalidatedLeases", "dataproc.tasks.reportStatus",
    ], google_project_iam_custom_role.spark[0].permissions)) == 0
    error_message = "Dataproc asks for these permissions before it starts a cluster."
  }
  assert {
    condition = toset([
      for grant in concat(values(google_storage_bucket_iam_member.spark), values(google_storage_bucket_iam_member.spark_buckets)) : "${grant.bucket} ${grant.role}"
      ]) == toset([
      "cloudlstm-my-project-staging roles/storage.objectUser", "cloudlstm-my-project-staging roles/storage.legacyBucketReader",
      "cloudlstm-my-project-temp roles/storage.objectUser", "cloudlstm-my-project-temp roles/storage.legacyBucketReader",
    ])
    error_message = "Dataproc asks for objects and buckets.get on its own two buckets."
  }
  assert {
    condition     = google_project_iam_custom_role.trainer.permissions == toset(["compute.instanceGroupManagers.update"])
    error_message = "A trainer leaves its group with this permission alone."
  }
  assert {
    condition     = alltrue([for grant in google_storage_bucket_iam_member.target : grant.role == "roles/storage.objectViewer"])
    error_message = "Terraform alone writes the target document and the nodes' script."
  }
  assert {
    condition = (
      google_storage_bucket_object.target.bucket == google_storage_bucket.target.name
      && google_storage_bucket_object.spark_bootstrap.bucket == google_storage_bucket.target.name
      && length(google_storage_bucket.target.versioning) == 0 && google_storage_bucket.target.force_destroy
    )
    error_message = "A destroy cannot delete a bucket in which old versions of Terraform's objects are left."
  }
  assert {
    condition     = google_dataproc_cluster.spark.cluster_config[0].initialization_action[0].script == "gs://cloudlstm-my-project-target/spark-node.sh"
    error_message = "The nodes' script lies where nodes cannot write."
  }
  assert {
    condition     = time_sleep.spark_rights.create_duration == "150s" && contains(keys(time_sleep.spark_rights.triggers), "account")
    error_message = "A cluster must not start before its rights count."
  }
}

run "the_usual_role" {
  command = plan

  variables {
    spark_project_role = "roles/dataproc.worker"
  }

  assert {
    condition     = google_project_iam_member.spark.role == "roles/dataproc.worker" && length(google_project_iam_custom_role.spark) == 0
    error_message = "Another role can take the place of ours."
  }
}

run "no_bucket_of_runs" {
  command = plan

  override_data {
    target          = data.google_storage_buckets.runs
    values          = { buckets = [] }
    override_during = plan
  }

  expect_failures = [data.google_storage_buckets.runs]
}

run "a_bucket_of_another_name" {
  command = plan

  variables {
    bucket = "our-runs"
  }

  override_data {
    target          = data.google_storage_buckets.runs
    values          = { buckets = [{ name = "our-runs", location = "US", storage_class = "STANDARD", self_link = "", labels = {} }] }
    override_during = plan
  }

  assert {
    condition = (
      output.bucket_uri == "gs://our-runs" && output.target_uri == "gs://cloudlstm-my-project-target/target.json"
      && alltrue([for grant in google_storage_bucket_iam_member.work : grant.bucket == "our-runs"])
    )
    error_message = "Rights and target must be those of the bucket that was named."
  }
}
