# Machines in a network that exists already. The folder own-network makes a small one, to try it; it has no way to the internet.
# USD an hour: 0.02 from apply to destroy, 0.72 while the Spark cluster lives, 0.21 for each trainer at work; us-east-1, 2026-11
# Type: cp examples/aws/own-network.tfvars infra/terraform/aws/terraform.tfvars, then the lines at the top of own-network/main.tf.
egress      = "none"
trainer_gpu = "none"
