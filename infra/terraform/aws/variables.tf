# Costs are estimates for us-east-1 in November 2026, on demand, without tax. README.md adds them up.

variable "budget" {
  description = "Mails these addresses when the account's cost of a month nears its limit. `only_tagged` counts just what carries our tag: activate `cloudlstm` as a cost allocation tag first, or it counts nothing."
  type = object({
    monthly_usd = number
    emails      = list(string)
    only_tagged = optional(bool, false)
  })
  default = null

  validation {
    condition     = var.budget == null || try(var.budget.monthly_usd > 0 && length(var.budget.emails) > 0, false)
    error_message = "A budget needs a limit above 0 and at least one address."
  }
}

variable "egress" {
  description = "How the machines reach the internet. `nat`: a NAT gateway, about 36 USD a month (5 cents an hour) plus 4.5 cents a GB, from apply to destroy. `none`: not at all; then source yahoo cannot be fetched, and trainers need an image and a package index of your own."
  type        = string
  default     = "nat"

  validation {
    condition     = contains(["nat", "none"], var.egress)
    error_message = "egress is \"nat\" or \"none\"."
  }
}

variable "force_destroy" {
  description = "Lets `terraform destroy` delete the bucket with every run in it. Must be applied before the destroy."
  type        = bool
  default     = false
}

variable "keep_runs_days" {
  description = "Days after which a run's objects are deleted; null keeps them for ever. Storage costs about 2.3 cents a GB and month."
  type        = number
  default     = 365

  validation {
    condition     = var.keep_runs_days == null || try(var.keep_runs_days >= 7 && floor(var.keep_runs_days) == var.keep_runs_days, false)
    error_message = "keep_runs_days is null or a whole number of at least 7."
  }
}

variable "max_hours" {
  description = "Longest life of a trainer machine in hours: then it removes itself, whatever its launcher does."
  type        = number
  default     = 12

  validation {
    condition     = var.max_hours >= 1 && var.max_hours <= 168 && floor(var.max_hours) == var.max_hours
    error_message = "max_hours is a whole number from 1 to 168."
  }
}

variable "name" {
  description = "Prefix of all names, and the value of the tag `cloudlstm` on everything. One name an account."
  type        = string
  default     = "cloudlstm"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,19}$", var.name))
    error_message = "name is 2 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "network_cidr" {
  description = "Addresses of the network; each of its subnets takes an eighth."
  type        = string
  default     = "10.40.0.0/16"

  validation {
    condition     = can(cidrhost(var.network_cidr, 0)) && try(tonumber(split("/", var.network_cidr)[1]) >= 16 && tonumber(split("/", var.network_cidr)[1]) <= 24, false)
    error_message = "network_cidr is an IPv4 network from /16 to /24, such as 10.40.0.0/16."
  }
}

variable "read_buckets" {
  description = "Names of other buckets from which runs may read bars (`market.path = \"s3://NAME/…\"`)."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for bucket in var.read_buckets : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", bucket))])
    error_message = "read_buckets are bare names of buckets: no s3://, no path, no wildcard."
  }
}

variable "region" {
  description = "AWS region of everything."
  type        = string
  default     = "us-east-1"
}

variable "spark_idle_minutes" {
  description = "Minutes without work after which the cluster ends itself. `terraform apply` starts a new one, under a new id."
  type        = number
  default     = 60

  validation {
    condition     = var.spark_idle_minutes >= 5 && var.spark_idle_minutes <= 1440 && floor(var.spark_idle_minutes) == var.spark_idle_minutes
    error_message = "spark_idle_minutes is a whole number from 5 to 1440."
  }
}

variable "spark_machine" {
  description = "Instance type of every Spark node, x86-64 or Graviton. m6i.xlarge: about 24 cents an hour and node, EMR's fee included."
  type        = string
  default     = "m6i.xlarge"
}

variable "spark_max_nodes" {
  description = "Most nodes beside the primary that managed scaling may run."
  type        = number
  default     = 4

  validation {
    condition     = var.spark_max_nodes >= 1 && var.spark_max_nodes <= 200 && floor(var.spark_max_nodes) == var.spark_max_nodes
    error_message = "spark_max_nodes is a whole number from 1 to 200."
  }
}

variable "spark_min_nodes" {
  description = "Nodes beside the primary that run as long as the cluster does; always on demand. They hold the driver."
  type        = number
  default     = 2

  validation {
    condition     = var.spark_min_nodes >= 1 && var.spark_min_nodes <= var.spark_max_nodes && floor(var.spark_min_nodes) == var.spark_min_nodes
    error_message = "spark_min_nodes is a whole number from 1 to spark_max_nodes."
  }
}

variable "spark_python" {
  description = "Python on the Spark nodes. emr-spark-8.x has 3.11 and 3.13, emr-7.x only 3.11."
  type        = string
  default     = "3.11"

  validation {
    condition     = contains(startswith(var.spark_release, "emr-spark-") ? ["3.11", "3.13"] : ["3.11"], var.spark_python)
    error_message = "spark_python is \"3.11\", or with emr-spark-8.x also \"3.13\"."
  }
}

variable "spark_release" {
  description = "EMR release: emr-spark-8.1.0 (Spark 4.1, supported to 2029-09) or emr-7.14.0 (Spark 3.5)."
  type        = string
  default     = "emr-spark-8.1.0"

  validation {
    condition     = can(regex("^emr-(spark-[89]|7)\\.[0-9]+\\.[0-9]+$", var.spark_release))
    error_message = "spark_release is a label such as emr-spark-8.1.0 or emr-7.14.0."
  }
}

variable "spark_spot_max_usd" {
  description = "Takes the nodes above spark_min_nodes from the spot market, for at most this many USD an hour and node; null takes them on demand. What a node costs on demand is a sensible limit: m6i.xlarge 0.192."
  type        = number
  default     = null

  validation {
    condition     = var.spark_spot_max_usd == null || try(var.spark_spot_max_usd > 0 && var.spark_spot_max_usd <= 10, false)
    error_message = "spark_spot_max_usd is null or a price above 0 and up to 10."
  }
}

variable "submitters" {
  description = "ARNs that may assume the role `<name>-submitter`. Empty: whoever of this account is allowed to by a policy of its own."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.submitters : can(regex("^arn:[a-z-]+:(iam|sts)::[0-9]{12}:.+[^*]$", arn))])
    error_message = "submitters are full ARNs of users, roles or accounts, without wildcards."
  }
}

variable "trainer_disk_gib" {
  description = "Disk of a trainer machine in GiB; about 8 cents a GiB and month, only while it lives."
  type        = number
  default     = 100

  validation {
    condition     = var.trainer_disk_gib >= 60 && var.trainer_disk_gib <= 2000 && floor(var.trainer_disk_gib) == var.trainer_disk_gib
    error_message = "trainer_disk_gib is a whole number from 60 to 2000: image, CUDA and TensorFlow take 40."
  }
}

variable "trainer_gpu" {
  description = "The trainers' accelerator; per machine and hour about t4 0.53, l4 0.80, a10g 1.01, l40s 1.86 USD. `none`: CPU only, about 0.20 USD."
  type        = string
  default     = "t4"

  validation {
    condition     = contains(["none", "t4", "l4", "a10g", "l40s"], var.trainer_gpu)
    error_message = "trainer_gpu is one of none, t4, l4, a10g, l40s."
  }
}

variable "trainer_machines" {
  description = "Instance types for trainers in order of preference, instead of the usual ones for trainer_gpu. All must be x86-64 and carry that accelerator."
  type        = list(string)
  default     = []

  validation {
    condition     = length(distinct(var.trainer_machines)) == length(var.trainer_machines)
    error_message = "trainer_machines names a type twice."
  }
}

variable "trainer_max" {
  description = "Most trainer machines at a time: the bound of what a `submit` can start."
  type        = number
  default     = 4

  validation {
    condition     = var.trainer_max >= 1 && var.trainer_max <= 64 && floor(var.trainer_max) == var.trainer_max
    error_message = "trainer_max is a whole number from 1 to 64."
  }
}

variable "trainer_python" {
  description = "Path of a Python on the trainers' image that has all packages, for an image of your own. Empty: trainers take Python and packages from the bucket."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(/[A-Za-z0-9._/-]+)?$", var.trainer_python))
    error_message = "trainer_python is empty or an absolute path."
  }
}

variable "trainer_spot" {
  description = "Takes trainers from the spot market, about 60 % cheaper; a run goes on from its last checkpoint when one is reclaimed."
  type        = bool
  default     = false
}

variable "zones" {
  description = "Letters of the availability zones to spread over, as in us-east-1a; Spark takes the first. More zones find a scarce machine sooner. Add new ones at the end: the order gives the subnets their addresses."
  type        = list(string)
  default     = ["a", "b", "c"]

  validation {
    condition     = length(var.zones) >= 1 && length(var.zones) <= 6 && length(distinct(var.zones)) == length(var.zones) && alltrue([for letter in var.zones : can(regex("^[a-z]$", letter))])
    error_message = "zones are one to six different letters."
  }
}
