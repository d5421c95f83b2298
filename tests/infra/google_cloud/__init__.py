"""A Google Cloud that Terraform can apply a root to: a provider without a network, and the rules behind it."""
