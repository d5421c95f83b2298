"""Google Cloud: jobs on a Dataproc cluster, trainers in a managed instance group."""
