"""The storage servers: SeaweedFS for S3 and fake-gcs-server for Cloud Storage."""
