# Up to four trainers with a GPU from the spot market, in three zones, and no way to the internet: packages come from the bucket.
# USD an hour: 0.70 while the Spark cluster lives, 0.23 for each trainer at work (usually: spot); us-central1, 2026-11
# Type: cp examples/gcp/gpu-spot.tfvars infra/terraform/gcp/terraform.tfvars, set the project in it, then as in examples/README.md.
#
# Before the first submit ask Google for the quotas "Preemptible NVIDIA T4 GPUs" (PREEMPTIBLE_NVIDIA_T4_GPUS) and "GPUs (all
# regions)" (GPUS_ALL_REGIONS). A run whose machine is taken back continues from its last checkpoint on the next one.
project       = "my-project"
egress        = "none"
spark_spot    = true
trainer_gpu   = "t4"
trainer_max   = 4
trainer_spot  = true
trainer_zones = 3
