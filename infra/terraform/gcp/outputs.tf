# The target document, which `cloudlstm --target` reads from these outputs or from the bucket. All clouds have the same keys.

locals {
  target = {
    contract_version   = 2
    cloud              = "gcp"
    name               = var.name
    account            = var.project
    region             = var.region
    bucket_uri         = local.bucket_uri
    spark_cluster      = google_dataproc_cluster.spark.name
    spark_release      = var.spark_release
    spark_python       = var.spark_python
    spark_python_path  = local.spark_python_path
    spark_architecture = "x86_64" # so are all images
    spark_machine      = var.spark_machine
    spark_min_nodes    = var.spark_min_nodes
    spark_max_nodes    = var.spark_max_nodes
    spark_spot         = var.spark_spot
    spark_idle_minutes = var.spark_idle_minutes
    spark_definition   = local.spark_definition
    log_uri            = local.log_uri
    trainer_group      = google_compute_region_instance_group_manager.trainers.name
    trainer_zones      = local.zones
    trainer_machines   = local.trainer_machines
    trainer_gpu        = var.trainer_gpu
    trainer_max        = var.trainer_max
    trainer_spot       = var.trainer_spot
    trainer_disk_gib   = var.trainer_disk_gib
    trainer_python     = var.trainer_python
    trainer_port       = local.trainer_port
    max_hours          = var.max_hours
    egress             = var.egress
    schedule           = local.target_schedule
    endpoints          = {}
  }
}

resource "google_storage_bucket_object" "target" {
  bucket       = google_storage_bucket.target.name
  name         = "target.json"
  content      = jsonencode(local.target)
  content_type = "application/json"
}

output "target_uri" {
  description = "URI of the target document, for `--target` on other machines."
  value       = "gs://${google_storage_bucket.target.name}/${google_storage_bucket_object.target.name}"
}

output "submitter" {
  description = "E-mail of the service account with the rights to submit runs."
  value       = google_service_account.submitter.email
}

output "contract_version" {
  description = "Version of this document's keys."
  value       = local.target.contract_version
}

output "cloud" {
  description = "Which cloud this is."
  value       = local.target.cloud
}

output "name" {
  description = "Prefix of all names, and the value of the label `cloudlstm`."
  value       = local.target.name
}

output "account" {
  description = "Project id."
  value       = local.target.account
}

output "region" {
  description = "Region of everything."
  value       = local.target.region
}

output "bucket_uri" {
  description = "Bucket of runs, code and trainers' logs."
  value       = local.target.bucket_uri
}

output "spark_cluster" {
  description = "Name of the Spark cluster."
  value       = local.target.spark_cluster
}

output "spark_release" {
  description = "Dataproc image version of the cluster."
  value       = local.target.spark_release
}

output "spark_python" {
  description = "Minor version of the interpreter on Spark nodes."
  value       = local.target.spark_python
}

output "spark_python_path" {
  description = "Where that interpreter is."
  value       = local.target.spark_python_path
}

output "spark_architecture" {
  description = "CPU architecture of Spark nodes, as in wheel tags."
  value       = local.target.spark_architecture
}

output "spark_machine" {
  description = "Machine type of every Spark node."
  value       = local.target.spark_machine
}

output "spark_min_nodes" {
  description = "Nodes beside the primary that run as long as the cluster."
  value       = local.target.spark_min_nodes
}

output "spark_max_nodes" {
  description = "Most nodes beside the primary."
  value       = local.target.spark_max_nodes
}

output "spark_spot" {
  description = "Whether nodes above `spark_min_nodes` come from the spot market."
  value       = local.target.spark_spot
}

output "spark_idle_minutes" {
  description = "Idle minutes after which the cluster ends itself."
  value       = local.target.spark_idle_minutes
}

output "spark_definition" {
  description = "Dataproc's resource Cluster, with which a run starts the cluster again after it has deleted itself."
  value       = local.target.spark_definition
}

output "log_uri" {
  description = "Where Dataproc puts its logs."
  value       = local.target.log_uri
}

output "trainer_group" {
  description = "Name of the trainers' managed instance group."
  value       = local.target.trainer_group
}

output "trainer_zones" {
  description = "Zones in which trainers may start."
  value       = local.target.trainer_zones
}

output "trainer_machines" {
  description = "Machine types of trainers, in order of preference."
  value       = local.target.trainer_machines
}

output "trainer_gpu" {
  description = "The trainers' accelerator, or \"none\"."
  value       = local.target.trainer_gpu
}

output "trainer_max" {
  description = "Largest size of the group."
  value       = local.target.trainer_max
}

output "trainer_spot" {
  description = "Whether trainers come from the spot market."
  value       = local.target.trainer_spot
}

output "trainer_disk_gib" {
  description = "Disk of a trainer in GiB."
  value       = local.target.trainer_disk_gib
}

output "trainer_python" {
  description = "Interpreter on the trainers' image that has all packages; empty: they come from the bucket."
  value       = local.target.trainer_python
}

output "trainer_port" {
  description = "First TCP port of a worker."
  value       = local.target.trainer_port
}

output "max_hours" {
  description = "Longest life of a trainer machine."
  value       = local.target.max_hours
}

output "egress" {
  description = "Whether machines reach the internet."
  value       = local.target.egress
}

output "schedule" {
  description = "When a launcher comes, and for which models; null if none does."
  value       = local.target.schedule
}

output "endpoints" {
  description = "Service to URL, for emulators that no standard variable points to."
  value       = local.target.endpoints
}
