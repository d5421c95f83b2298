# Machines in a network that exists already. The folder own-network makes a small one, to try it; it has no way to the internet.
# USD an hour: 0.70 while the Spark cluster lives, 0.14 for each trainer at work; us-central1, 2026-11
# Type: cp examples/gcp/own-network.tfvars infra/terraform/gcp/terraform.tfvars, set the project, then as in own-network/main.tf.
project     = "my-project"
egress      = "none"
trainer_gpu = "none"
