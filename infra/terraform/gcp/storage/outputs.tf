output "bucket" {
  description = "Name of the bucket."
  value       = google_storage_bucket.runs.name
}

output "bucket_uri" {
  description = "URI of the bucket."
  value       = "gs://${google_storage_bucket.runs.name}"
}
