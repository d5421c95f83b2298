output "bucket" {
  description = "Name of the bucket, for the main root's variable `bucket` if it is not the default name."
  value       = aws_s3_bucket.runs.bucket
}

output "bucket_uri" {
  description = "The bucket's URI."
  value       = "s3://${aws_s3_bucket.runs.bucket}"
}
