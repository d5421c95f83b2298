# The cheapest way to run everything on Google Cloud: no GPU, small Spark nodes, one trainer from the spot market, no way to the
# internet.
# USD an hour: 0.52 while the Spark cluster lives, 0.06 for each trainer at work (usually: spot); us-central1, 2026-11
# Type: cp examples/gcp/cheapest.tfvars infra/terraform/gcp/terraform.tfvars, set the project in it, then as in examples/README.md.
#
# Without a way to the internet prices cannot be fetched from Yahoo Finance. Use files of your own (market.source=files), in
# the bucket or uploaded from where you submit, or the synthetic market of examples/demo.toml.
project            = "my-project"
egress             = "none"
spark_idle_minutes = 15
spark_machine      = "e2-standard-4"
spark_max_nodes    = 2
spark_min_nodes    = 2
trainer_gpu        = "none"
trainer_max        = 1
trainer_spot       = true
