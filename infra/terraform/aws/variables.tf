# Costs are estimates for us-east-1 in November 2026, on demand, without tax. README.md adds them up.

variable "alarms" {
  description = "Mails these addresses when a model of `schedule` is not up to date, has failed, was refused, was late, or is near `schedule.max_usd`. Each address must confirm once. `models`: without `schedule`, the models that another scheduler does with `cloudlstm daily --target=…`. `absent_hours`: after how many hours without a day; null: 27 if `schedule.time` ends with `* * *`, 75 if it ends with `* * 1-5`; of other times, and with `models`, it must be set. null, or without `schedule` and `models`: there are no alarms."
  type = object({
    emails       = list(string)
    models       = optional(list(string))
    absent_hours = optional(number)
  })
  default = null

  validation {
    condition     = var.alarms == null || try(length(var.alarms.emails) > 0 && length(distinct(var.alarms.emails)) == length(var.alarms.emails), false)
    error_message = "alarms.emails are at least one address, each once."
  }
  validation {
    condition     = var.alarms == null || try(contains(range(2, 169), coalesce(var.alarms.absent_hours, 27)), false)
    error_message = "alarms.absent_hours is null or a whole number from 2 to 168."
  }
  validation {
    condition = try(var.alarms.models, null) == null || try(
      length(var.alarms.models) > 0 && length(distinct(var.alarms.models)) == length(var.alarms.models)
      && alltrue([for model in var.alarms.models : can(regex("^[A-Za-z0-9][A-Za-z0-9._-]*$", model))]), false
    )
    error_message = "alarms.models are null or the names of at least one model, each once."
  }
  validation {
    condition     = try(var.alarms.models, null) == null || var.schedule == null
    error_message = "alarms.models is for a target without schedule: with one, its models are watched."
  }
  validation {
    condition = (
      var.alarms == null || try(var.alarms.absent_hours, null) != null || (var.schedule == null && try(var.alarms.models, null) == null)
      || try(endswith(var.schedule.time, " * * *") || endswith(var.schedule.time, " * * 1-5"), false)
    )
    error_message = "Set alarms.absent_hours to the longest time between two days and two hours: only a schedule.time that ends with \"* * *\" or \"* * 1-5\" tells it."
  }
}

variable "bucket" {
  description = "Name of the bucket that the root in storage/ made; null: `<name>-<account>-<region>`."
  type        = string
  default     = null

  validation {
    condition     = var.bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket is null or the bare name of a bucket: no s3://, no path."
  }
}

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

variable "debug_access" {
  description = "Lets those whom your account allows it open a shell on trainers by SSM Session Manager. No port opens; with egress \"none\" two more endpoints are made."
  type        = bool
  default     = false
}

variable "egress" {
  description = "How the machines reach the internet. `nat`: a NAT gateway, about 36 USD a month (5 cents an hour) plus 4.5 cents a GB, from apply to destroy. `none`: not at all; then source yahoo cannot be fetched; trainers take Python and packages from the bucket, and reach Auto Scaling by an endpoint of 1 cent an hour."
  type        = string
  default     = "nat"

  validation {
    condition     = contains(["nat", "none"], var.egress)
    error_message = "egress is \"nat\" or \"none\"."
  }
}

variable "kms_key" {
  description = "ARN of the KMS key that encrypts the bucket, as given to the root in storage/: lets nodes, trainers and submitters use it. null: the bucket has no key of its own."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.kms_key))
    error_message = "kms_key is null or the ARN of a key (not of an alias)."
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
  description = "Prefix of all names, and the value of the tag `cloudlstm` on everything. A name can be used once in an account."
  type        = string
  default     = "cloudlstm"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,19}$", var.name))
    error_message = "name is 2 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "network" {
  description = "A network that exists, instead of one of its own: `{ vpc_id, subnet_ids, endpoints }`, with private subnets that reach S3 and, with egress \"nat\", the internet. `endpoints = false`: the interface endpoints that machines need are there already."
  type = object({
    vpc_id     = string
    subnet_ids = list(string)
    endpoints  = optional(bool, true)
  })
  default = null

  validation {
    condition = var.network == null || try(
      can(regex("^vpc-[0-9a-f]+$", var.network.vpc_id)) && length(var.network.subnet_ids) > 0 &&
      alltrue([for id in var.network.subnet_ids : can(regex("^subnet-[0-9a-f]+$", id))]), false
    )
    error_message = "network has the id of a VPC and the ids of at least one of its subnets."
  }
}

variable "network_cidr" {
  description = "Addresses of the network; each of its subnets takes an eighth. Not used with `network`."
  type        = string
  default     = "10.40.0.0/16"

  validation {
    condition     = can(cidrhost(var.network_cidr, 0)) && try(tonumber(split("/", var.network_cidr)[1]) >= 16 && tonumber(split("/", var.network_cidr)[1]) <= 24, false)
    error_message = "network_cidr is an IPv4 network from /16 to /24, such as 10.40.0.0/16."
  }
}

variable "permissions_boundary" {
  description = "ARN of a policy that bounds the rights of all roles, where your account asks for one."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary == null || can(regex("^arn:[a-z-]+:iam::(aws|[0-9]{12}):policy/.+$", var.permissions_boundary))
    error_message = "permissions_boundary is null or the ARN of a policy."
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

variable "schedule" {
  description = "Lets a machine come by itself, do `cloudlstm daily` for each of `models`, and leave. `time` is cron in five fields, of digits only, in `time_zone`: \"30 18 * * 1-5\" in \"America/New_York\" is two and a half hours after the close. `max_usd`: what a model may spend in a month. It lives for at most `max_hours`; an hour costs 10 cents. Needs `egress = \"nat\"`, and `cloudlstm schedule --target=…` once, which sends its code. null: nothing comes."
  type = object({
    time      = string
    time_zone = string
    models    = list(string)
    max_usd   = optional(number)
    machine   = optional(string, "m7i.large")
    max_hours = optional(number, 8)
    image     = optional(string)
    python    = optional(string, "")
  })
  default = null

  validation {
    condition     = var.schedule == null || can(regex("^[0-9*,/-]+( [0-9*,/-]+){4}$", var.schedule.time))
    error_message = "schedule.time is cron in five fields of digits, *, comma, - and /: minute, hour, day of the month, month, day of the week."
  }
  validation {
    condition     = var.schedule == null || can(regex("^[A-Za-z]+(/[A-Za-z0-9_+-]+)*$", var.schedule.time_zone))
    error_message = "schedule.time_zone is a name such as America/New_York or UTC."
  }
  validation {
    condition = var.schedule == null || try(
      length(var.schedule.models) > 0 && length(distinct(var.schedule.models)) == length(var.schedule.models)
      && alltrue([for model in var.schedule.models : can(regex("^[A-Za-z0-9][A-Za-z0-9._-]*$", model))]), false
    )
    error_message = "schedule.models are the names of at least one model, each once."
  }
  validation {
    condition     = var.schedule == null || try(coalesce(var.schedule.max_usd, 1) > 0, false)
    error_message = "schedule.max_usd is null or above 0."
  }
  validation {
    condition     = var.schedule == null || try(var.schedule.max_hours >= 1 && var.schedule.max_hours <= 23 && floor(var.schedule.max_hours) == var.schedule.max_hours, false)
    error_message = "schedule.max_hours is a whole number from 1 to 23."
  }
  validation {
    condition     = var.schedule == null || can(regex("^(/[A-Za-z0-9._/-]+)?$", var.schedule.python))
    error_message = "schedule.python is empty or the absolute path of a Python on schedule.image that has all packages."
  }
  validation {
    condition     = var.schedule == null || var.egress == "nat"
    error_message = "A schedule needs egress = \"nat\": the launcher calls services that have no endpoint here."
  }
}

variable "spark_idle_minutes" {
  description = "Minutes without work after which the cluster ends itself. The next run starts another one, under a new id."
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

variable "tags" {
  description = "Further tags of everything, as your account's rules ask for."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setintersection(keys(var.tags), ["Name", "cloudlstm", "for-use-with-amazon-emr-managed-policies"])) == 0
    error_message = "The tags Name, cloudlstm and for-use-with-amazon-emr-managed-policies are set already."
  }
}

variable "trainer_disk_gib" {
  description = "Disk of a trainer machine in GiB; null: 100 with a GPU, 50 without. About 8 cents a GiB and month, only while it lives."
  type        = number
  default     = null

  validation {
    condition     = var.trainer_disk_gib == null || try(var.trainer_disk_gib <= 2000 && floor(var.trainer_disk_gib) == var.trainer_disk_gib, false)
    error_message = "trainer_disk_gib is null or a whole number up to 2000."
  }
  validation {
    condition     = var.trainer_disk_gib == null || try(var.trainer_disk_gib >= (var.trainer_gpu != "none" && var.trainer_image == null ? 80 : 20), false)
    error_message = "trainer_disk_gib is at least 80 with a GPU (the image with NVIDIA's driver takes 75), and at least 20 without or with an image of your own."
  }
}

variable "trainer_gpu" {
  description = "The trainers' accelerator. `none`: CPU only."
  type        = string
  default     = "t4"

  validation {
    condition     = contains(["none", "t4", "l4", "a10g", "l40s"], var.trainer_gpu)
    error_message = "trainer_gpu is one of none, t4, l4, a10g, l40s."
  }
}

variable "trainer_image" {
  description = "The trainers' image, x86-64 with systemd, curl and the AWS command line: id of an AMI, or name of an SSM parameter that holds one. null: Amazon Linux 2023, with NVIDIA's driver if there is a GPU."
  type        = string
  default     = null

  validation {
    condition     = var.trainer_image == null || can(regex("^(ami-[0-9a-f]+|/[A-Za-z0-9._/-]+)$", var.trainer_image))
    error_message = "trainer_image is null, the id of an AMI such as ami-0123456789abcdef0, or the name of an SSM parameter, which begins with a slash."
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

variable "trainer_zones" {
  description = "Number of zones over which trainers spread. 1: they are near each other, and nothing is paid for traffic between zones. More: a scarce machine is found sooner, but several trainers of one run exchange gradients across zones, for 1 cent a GB each way."
  type        = number
  default     = 1

  validation {
    condition     = var.trainer_zones >= 1 && var.trainer_zones <= 6 && floor(var.trainer_zones) == var.trainer_zones
    error_message = "trainer_zones is a whole number from 1 to 6."
  }
}

variable "zones" {
  description = "Letters of availability zones that may be used, as in us-east-1a, in order of preference. Spark takes the first that offers its machine, trainers the first `trainer_zones`. Add new ones at the end: the order gives the subnets their addresses. Not used with `network`."
  type        = list(string)
  default     = ["a", "b", "c"]

  validation {
    condition     = length(var.zones) >= 1 && length(var.zones) <= 6 && length(distinct(var.zones)) == length(var.zones) && alltrue([for letter in var.zones : can(regex("^[a-z]$", letter))])
    error_message = "zones are one to six different letters."
  }
}
