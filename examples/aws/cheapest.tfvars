# The cheapest way to run everything on AWS: no GPU, two Spark nodes, one trainer from the spot market, no way to the internet.
# USD an hour: 0.02 from apply to destroy, 0.39 while the Spark cluster lives, 0.09 for each trainer at work (usually: spot); us-east-1, 2026-11
# Type: cp examples/aws/cheapest.tfvars infra/terraform/aws/terraform.tfvars, then as in examples/README.md.
#
# Without a way to the internet prices cannot be fetched from Yahoo Finance. Use files of your own (market.source=files), in
# the bucket or uploaded from where you submit, or the synthetic market of examples/demo.toml.
egress             = "none"
spark_idle_minutes = 15
spark_machine      = "m6g.xlarge"
spark_max_nodes    = 1
spark_min_nodes    = 1
trainer_gpu        = "none"
trainer_max        = 1
trainer_spot       = true
