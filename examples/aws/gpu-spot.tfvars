# Up to four trainers with a GPU from the spot market, in three zones, and no way to the internet: packages come from the bucket.
# USD an hour: 0.04 from apply to destroy, 0.72 while the Spark cluster lives, 0.22 for each trainer at work (usually: spot); us-east-1, 2026-11
# Type: cp examples/aws/gpu-spot.tfvars infra/terraform/aws/terraform.tfvars, then as in examples/README.md.
#
# Before the first submit ask AWS for the quota "All G and VT Spot Instance Requests" (L-3819A6DF): 4 vCPUs a machine. A run
# whose machine is taken back continues from its last checkpoint on the next one.
egress             = "none"
spark_spot_max_usd = 0.192
trainer_gpu        = "t4"
trainer_max        = 4
trainer_spot       = true
trainer_zones      = 3
