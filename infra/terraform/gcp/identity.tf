# Three service accounts with minimal rights: Spark nodes, trainers, and users who submit runs and start the Spark cluster. All
# grants are additive. With `schedule` there are two more, in schedule.tf.

locals {
  objects     = "projects/_/buckets/${local.bucket}/objects"
  coordinates = "${local.objects}/trainers/${local.trainer_group}" # lease, assignment, machines' logs

  accounts = {
    spark     = google_service_account.spark.member
    trainer   = google_service_account.trainer.member
    submitter = google_service_account.submitter.member
  }

  # Roles on the runs' bucket and the prefixes they apply to. Listing needs a role on the whole bucket. What trainers execute
  # lies in code/ and in the assignment: only the submitter writes there.
  work = {
    spark-work = {
      member   = local.accounts.spark
      role     = "roles/storage.objectUser"
      prefixes = ["${local.objects}/runs/"]
    }
    spark-read = {
      member   = local.accounts.spark
      role     = "roles/storage.objectViewer"
      prefixes = ["${local.objects}/code/"]
    }
    trainer-work = {
      member   = local.accounts.trainer
      role     = "roles/storage.objectUser"
      prefixes = ["${local.objects}/runs/", "${local.coordinates}/machines/"]
    }
    trainer-read = {
      member   = local.accounts.trainer
      role     = "roles/storage.objectViewer"
      prefixes = ["${local.objects}/code/", "${local.coordinates}/assignment.json"]
    }
    submitter-work = {
      member   = local.accounts.submitter
      role     = "roles/storage.objectUser"
      prefixes = concat(["${local.objects}/runs/", "${local.objects}/code/", "${local.coordinates}/"], var.schedule == null ? [] : ["${local.launcher_coordinates}/"])
    }
  }
}

resource "google_storage_bucket_iam_member" "work" {
  for_each = local.work

  bucket = local.bucket
  role   = each.value.role
  member = each.value.member

  condition {
    title      = each.key
    expression = join(" || ", [for prefix in each.value.prefixes : "resource.name.startsWith(\"${prefix}\")"])
  }
}

resource "google_storage_bucket_iam_member" "list" {
  for_each = local.accounts

  bucket = local.bucket
  role   = "roles/storage.legacyBucketReader"
  member = each.value
}

# The target document for who submits, the nodes' script for the nodes.
resource "google_storage_bucket_iam_member" "target" {
  for_each = { for account in ["spark", "submitter"] : account => local.accounts[account] }

  bucket = google_storage_bucket.target.name
  role   = "roles/storage.objectViewer"
  member = each.value
}

# Spark nodes: the driver and the executors.

resource "google_service_account" "spark" {
  account_id   = "${var.name}-spark"
  display_name = "Spark nodes of ${var.name}"
}

# Like roles/dataproc.worker, but without the objects of every bucket of the project: Dataproc wants these permissions on the
# project, and those on objects where its buckets are.
resource "google_project_iam_custom_role" "spark" {
  count = var.spark_project_role == null ? 1 : 0

  role_id     = "${replace(var.name, "-", "_")}_spark"
  title       = "cloudlstm Spark node (${var.name})"
  description = "What Dataproc's agent on a node needs, except objects"

  permissions = [
    "dataproc.agents.create", "dataproc.agents.delete", "dataproc.agents.get", "dataproc.agents.list", "dataproc.agents.update",
    "dataproc.tasks.lease", "dataproc.tasks.listInvalidatedLeases", "dataproc.tasks.reportStatus", "logging.logEntries.create",
    "monitoring.metricDescriptors.create", "monitoring.metricDescriptors.get", "monitoring.metricDescriptors.list",
    "monitoring.monitoredResourceDescriptors.get", "monitoring.monitoredResourceDescriptors.list", "monitoring.timeSeries.create",
  ]
}

resource "google_project_iam_member" "spark" {
  project = var.project
  role    = var.spark_project_role == null ? google_project_iam_custom_role.spark[0].name : var.spark_project_role
  member  = google_service_account.spark.member
}

# Dataproc checks objects and buckets.get on its two buckets before it starts a cluster; objectUser has no buckets.get.
resource "google_storage_bucket_iam_member" "spark" {
  for_each = google_storage_bucket.spark

  bucket = each.value.name
  role   = "roles/storage.objectUser"
  member = google_service_account.spark.member
}

resource "google_storage_bucket_iam_member" "spark_buckets" {
  for_each = google_storage_bucket.spark

  bucket = each.value.name
  role   = "roles/storage.legacyBucketReader"
  member = google_service_account.spark.member
}

resource "google_storage_bucket_iam_member" "bars" {
  for_each = var.read_buckets

  bucket = each.key
  role   = "roles/storage.objectViewer"
  member = google_service_account.spark.member
}

# Trainers.

resource "google_service_account" "trainer" {
  account_id   = "${var.name}-trainer"
  display_name = "Trainer machines of ${var.name}"
}

# This one permission deletes a machine out of its group, and sizes the group. Groups have no IAM policy of their own and take no
# condition, so it holds for every group of the project.
resource "google_project_iam_custom_role" "trainer" {
  role_id     = "${replace(var.name, "-", "_")}_trainer"
  title       = "cloudlstm trainer (${var.name})"
  description = "Takes a machine out of its group, for good"
  permissions = ["compute.instanceGroupManagers.update"]
}

resource "google_project_iam_member" "trainer" {
  project = var.project
  role    = google_project_iam_custom_role.trainer.name
  member  = google_service_account.trainer.member
}

# Whoever submits runs.

resource "google_service_account" "submitter" {
  account_id   = "${var.name}-submitter"
  display_name = "What `cloudlstm submit` needs, and no more"
}

resource "google_service_account_iam_member" "submitters" {
  for_each = toset(var.submitters)

  service_account_id = google_service_account.submitter.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = each.key
}

# The cluster and the machines that it starts act as these accounts; it may start none that acts as another.
resource "google_service_account_iam_member" "acts_as" {
  for_each = { spark = google_service_account.spark.name, trainer = google_service_account.trainer.name }

  service_account_id = each.value
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.submitter.member
}

# Two permissions start the cluster by local.spark_definition: clusters.create, and autoscalingPolicies.use for its policy. Dataproc
# checks clusters.create on the project, so no role can limit it to one name: it holds for clusters of the whole project.
resource "google_project_iam_custom_role" "submitter" {
  role_id     = "${replace(var.name, "-", "_")}_submitter"
  title       = "cloudlstm submitter (${var.name})"
  description = "Starts the Spark cluster, runs jobs on it and looks at what there is"

  permissions = concat([
    "compute.disks.list", "compute.instanceGroupManagers.get", "compute.instanceGroupManagers.list",
    "compute.instances.get", "compute.instances.list", "compute.machineTypes.get", "compute.projects.get",
    "compute.regionOperations.get", "compute.regions.get", "dataproc.autoscalingPolicies.use", "dataproc.clusters.create",
    "dataproc.clusters.get", "dataproc.clusters.list", "dataproc.clusters.use", "dataproc.jobs.cancel", "dataproc.jobs.create", "dataproc.jobs.get", "dataproc.jobs.list",
    "monitoring.metricDescriptors.create", "monitoring.timeSeries.create",
  ], var.schedule == null ? [] : ["cloudscheduler.jobs.get"])
}

resource "google_project_iam_member" "submitter" {
  project = var.project
  role    = google_project_iam_custom_role.submitter.name
  member  = google_service_account.submitter.member
}

# To size the group takes the permission with which a trainer leaves it.
resource "google_project_iam_member" "scaling" {
  project = var.project
  role    = google_project_iam_custom_role.trainer.name
  member  = google_service_account.submitter.member
}

resource "google_storage_bucket_iam_member" "logs" {
  bucket = google_storage_bucket.spark["staging"].name
  role   = "roles/storage.objectViewer"
  member = google_service_account.submitter.member
}
