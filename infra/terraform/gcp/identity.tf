# Three service accounts with minimal rights: Spark nodes, trainers, and users who submit runs. All grants are additive.

locals {
  objects     = "projects/_/buckets/${google_storage_bucket.runs.name}/objects"
  coordinates = "${local.objects}/trainers/${local.trainer_group}" # lease, assignment, machines' logs

  # Roles on the runs' bucket and the prefixes they apply to. Listing needs a role on the whole bucket.
  work = {
    trainer-work = {
      member   = google_service_account.trainer.member
      role     = "roles/storage.objectUser"
      prefixes = ["${local.objects}/runs/", "${local.coordinates}/machines/"]
    }
    trainer-read = {
      member   = google_service_account.trainer.member
      role     = "roles/storage.objectViewer"
      prefixes = ["${local.objects}/code/", "${local.coordinates}/assignment.json"]
    }
    submitter-work = {
      member   = google_service_account.submitter.member
      role     = "roles/storage.objectUser"
      prefixes = ["${local.objects}/runs/", "${local.objects}/code/", "${local.coordinates}/"]
    }
    submitter-read = {
      member   = google_service_account.submitter.member
      role     = "roles/storage.objectViewer"
      prefixes = ["${local.objects}/target.json"]
    }
  }
}

resource "google_storage_bucket_iam_member" "work" {
  for_each = local.work

  bucket = google_storage_bucket.runs.name
  role   = each.value.role
  member = each.value.member

  condition {
    title      = each.key
    expression = join(" || ", [for prefix in each.value.prefixes : "resource.name.startsWith(\"${prefix}\")"])
  }
}

resource "google_storage_bucket_iam_member" "list" {
  for_each = { trainer = google_service_account.trainer.member, submitter = google_service_account.submitter.member }

  bucket = google_storage_bucket.runs.name
  role   = "roles/storage.legacyBucketReader"
  member = each.value
}

# Spark nodes: the driver and the executors.

resource "google_service_account" "spark" {
  account_id   = "${var.name}-spark"
  display_name = "Spark nodes of ${var.name}"
}

# Dataproc asks for this role on the project. Mind that it reaches the objects of all buckets of the project.
resource "google_project_iam_member" "spark" {
  project = var.project
  role    = "roles/dataproc.worker"
  member  = google_service_account.spark.member
}

resource "google_storage_bucket_iam_member" "spark" {
  for_each = merge(
    { runs = google_storage_bucket.runs.name },
    { for kind, bucket in google_storage_bucket.spark : kind => bucket.name },
  )

  bucket = each.value
  role   = "roles/storage.objectUser"
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

resource "google_project_iam_custom_role" "trainer" {
  role_id     = "${replace(var.name, "-", "_")}_trainer"
  title       = "cloudlstm trainer (${var.name})"
  description = "Takes a machine out of its group, for good"
  permissions = ["compute.instanceGroupManagers.update", "compute.instances.delete"]
}

locals {
  # A group has no IAM policy. For machines the condition selects those of this target.
  ours = "resource.type != \"compute.googleapis.com/Instance\" || resource.name.extract(\"/instances/{name}\").startsWith(\"${local.trainer_group}-\")"
}

resource "google_project_iam_member" "trainer" {
  project = var.project
  role    = google_project_iam_custom_role.trainer.name
  member  = google_service_account.trainer.member

  condition {
    title      = "machines of ${local.trainer_group}"
    expression = local.ours
  }
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

# The jobs and machines that it starts act as these accounts.
resource "google_service_account_iam_member" "acts_as" {
  for_each = { spark = google_service_account.spark.name, trainer = google_service_account.trainer.name }

  service_account_id = each.value
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.submitter.member
}

resource "google_project_iam_custom_role" "submitter" {
  role_id     = "${replace(var.name, "-", "_")}_submitter"
  title       = "cloudlstm submitter (${var.name})"
  description = "Runs Spark jobs and looks at what there is"

  permissions = [
    "compute.disks.list", "compute.instanceGroupManagers.get", "compute.instanceGroupManagers.list",
    "compute.instances.get", "compute.instances.list", "compute.machineTypes.get", "compute.projects.get",
    "compute.regionOperations.get", "compute.regions.get", "dataproc.clusters.get", "dataproc.clusters.list",
    "dataproc.clusters.use", "dataproc.jobs.cancel", "dataproc.jobs.create", "dataproc.jobs.get", "dataproc.jobs.list",
  ]
}

resource "google_project_iam_member" "submitter" {
  project = var.project
  role    = google_project_iam_custom_role.submitter.name
  member  = google_service_account.submitter.member
}

# To size the group takes the right with which a trainer leaves it, and is kept to our machines likewise.
resource "google_project_iam_member" "scaling" {
  project = var.project
  role    = google_project_iam_custom_role.trainer.name
  member  = google_service_account.submitter.member

  condition {
    title      = "machines of ${local.trainer_group}"
    expression = local.ours
  }
}

resource "google_storage_bucket_iam_member" "logs" {
  bucket = google_storage_bucket.spark["staging"].name
  role   = "roles/storage.objectViewer"
  member = google_service_account.submitter.member
}
