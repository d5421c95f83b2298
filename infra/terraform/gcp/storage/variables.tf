variable "adopt" {
  description = "Takes over a bucket of this name that exists, with everything in it, instead of making one: for a bucket that version 0.5 made. Set it for one apply."
  type        = bool
  default     = false
}

variable "bucket" {
  description = "Name of the bucket; null: `<name>-<project>`."
  type        = string
  default     = null

  validation {
    condition     = var.bucket == null || can(regex("^[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket is a bare name of 3 to 63 lower-case letters, digits, hyphens and underscores: no gs://, no dots."
  }
}

variable "force_destroy" {
  description = "Lets `terraform destroy` delete the bucket with every run in it. Must be applied before the destroy."
  type        = bool
  default     = false
}

variable "keep_runs_days" {
  description = "Days after which every object under runs/ and code/ is deleted, however much it is in use: runs, but also models with their ledgers, the store of bars, and the code of a launcher. So a model that lives longer than this loses its objects. A number suits a bucket that has only runs; null deletes nothing by age. Storage costs about 2 cents a GB and month."
  type        = number
  default     = null

  validation {
    condition     = var.keep_runs_days == null || try(var.keep_runs_days >= 7 && floor(var.keep_runs_days) == var.keep_runs_days, false)
    error_message = "keep_runs_days is null or a whole number of at least 7."
  }
}

variable "kms_key" {
  description = "Cloud KMS key that encrypts new objects, as projects/…/locations/…/keyRings/…/cryptoKeys/…; null: Google's own keys, which cost nothing. Cloud Storage's service agent needs rights on the key."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "kms_key is a key's full name: projects/…/locations/…/keyRings/…/cryptoKeys/…, without a version."
  }
}

variable "labels" {
  description = "Further labels of the bucket, as your organization's rules ask for."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for key, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", key)) && can(regex("^[a-z0-9_-]{0,63}$", value)) && key != "cloudlstm"])
    error_message = "labels have keys and values of at most 63 lower-case letters, digits, hyphens and underscores; cloudlstm is ours."
  }
}

variable "name" {
  description = "Prefix of the bucket's name, and the value of its label `cloudlstm`; the same as in the main root."
  type        = string
  default     = "cloudlstm"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name)) && !startswith(var.name, "goog") && !strcontains(var.name, "google")
    error_message = "name is 3 to 20 lower-case letters, digits and hyphens, beginning with a letter, not ending in a hyphen, and without the name of Google."
  }
}

variable "project" {
  description = "Id of the Google Cloud project of the bucket; the same as in the main root."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project is the id of a project, such as my-project-123: not its name and not its number."
  }
}

variable "region" {
  description = "Google Cloud region of the bucket; the same as in the main root."
  type        = string
  default     = "us-central1"

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region is a region such as us-central1: a zone has a letter more, a multi-region less."
  }
}
