variable "adopt" {
  description = "Takes over a bucket of this name that exists, with everything in it, instead of making one: for a bucket that version 0.5 made. Set it for one apply."
  type        = bool
  default     = false
}

variable "bucket" {
  description = "Name of the bucket; null: `<name>-<account>-<region>`."
  type        = string
  default     = null

  validation {
    condition     = var.bucket == null || can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket is null or 3 to 63 lower-case letters, digits and hyphens."
  }
}

variable "force_destroy" {
  description = "Lets `terraform destroy` delete the bucket with every run in it. Must be applied before the destroy."
  type        = bool
  default     = false
}

variable "keep_runs_days" {
  description = "Days after which every object under runs/ and code/ is deleted, however much it is in use: runs, but also models with their ledgers, the store of bars, and the code of a launcher. So a model that lives longer than this loses its objects. A number suits a bucket that has only runs; null deletes nothing by age. Storage costs about 2.3 cents a GB and month."
  type        = number
  default     = null

  validation {
    condition     = var.keep_runs_days == null || try(var.keep_runs_days >= 7 && floor(var.keep_runs_days) == var.keep_runs_days, false)
    error_message = "keep_runs_days is null or a whole number of at least 7."
  }
}

variable "kms_key" {
  description = "ARN of a KMS key that encrypts new objects; null: S3's own keys, which cost nothing. Give the main root the same value: its roles need rights on the key."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key))
    error_message = "kms_key is null or the ARN of a key (not of an alias)."
  }
}

variable "name" {
  description = "Prefix of the bucket's name, and the value of its tag `cloudlstm`; the same as in the main root."
  type        = string
  default     = "cloudlstm"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,19}$", var.name))
    error_message = "name is 2 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "region" {
  description = "AWS region of the bucket; the same as in the main root."
  type        = string
  default     = "us-east-1"
}

variable "tags" {
  description = "Further tags of the bucket, as your account's rules ask for."
  type        = map(string)
  default     = {}

  validation {
    condition     = !contains(keys(var.tags), "cloudlstm")
    error_message = "The tag cloudlstm holds the name and cannot be set."
  }
}
