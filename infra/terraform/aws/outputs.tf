# The target document, which `cloudlstm --target` reads from these outputs or from the bucket. All clouds have the same keys.

locals {
  target = {
    contract_version   = 2
    cloud              = "aws"
    name               = var.name
    account            = local.account
    region             = var.region
    bucket_uri         = local.bucket_uri
    spark_cluster      = aws_emr_cluster.spark.id
    spark_release      = var.spark_release
    spark_python       = var.spark_python
    spark_python_path  = local.spark_python_path
    spark_architecture = local.spark_architecture
    spark_machine      = var.spark_machine
    spark_min_nodes    = var.spark_min_nodes
    spark_max_nodes    = var.spark_max_nodes
    spark_spot         = local.spark_spot
    spark_idle_minutes = var.spark_idle_minutes
    spark_definition   = local.spark_definition
    log_uri            = local.log_uri
    trainer_group      = aws_autoscaling_group.trainers.name
    trainer_zones      = local.trainer_zones
    trainer_machines   = local.trainer_machines
    trainer_gpu        = var.trainer_gpu
    trainer_max        = var.trainer_max
    trainer_spot       = var.trainer_spot
    trainer_disk_gib   = local.trainer_disk_gib
    trainer_python     = var.trainer_python
    trainer_port       = local.trainer_port
    max_hours          = var.max_hours
    egress             = var.egress
    schedule           = local.target_schedule
    endpoints          = {}
  }
}

resource "aws_s3_object" "target" {
  bucket       = data.aws_s3_bucket.runs.id
  key          = "target.json"
  content      = jsonencode(local.target)
  content_type = "application/json"
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
  description = "Prefix of all names, and the value of the tag `cloudlstm`."
  value       = local.target.name
}

output "account" {
  description = "Account id."
  value       = local.target.account
}

output "region" {
  description = "Region of everything."
  value       = local.target.region
}

output "bucket_uri" {
  description = "Bucket of runs, code and logs."
  value       = local.target.bucket_uri
}

output "spark_cluster" {
  description = "Id of the Spark cluster; another one after each start."
  value       = local.target.spark_cluster
}

output "spark_release" {
  description = "EMR release of the cluster."
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
  description = "Arguments of EMR's RunJobFlow, with which a run starts the cluster again after it has ended itself."
  value       = local.target.spark_definition
}

output "log_uri" {
  description = "Where EMR puts its logs."
  value       = local.target.log_uri
}

output "trainer_group" {
  description = "Name of the trainers' Auto Scaling group."
  value       = local.target.trainer_group
}

output "trainer_zones" {
  description = "Zones in which trainers may start."
  value       = local.target.trainer_zones
}

output "trainer_machines" {
  description = "Instance types of trainers, in order of preference."
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

# What is no key of the document.

output "target_uri" {
  description = "The document in the bucket, for `--target` on machines that have no state."
  value       = "${local.bucket_uri}/${aws_s3_object.target.key}"
}

output "submitter" {
  description = "ARN of the role with the rights to submit runs."
  value       = aws_iam_role.submitter.arn
}
