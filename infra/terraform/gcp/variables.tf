# Costs are estimates for us-central1 in November 2026, on demand, without tax. README.md adds them up.

variable "alarms" {
  description = "Mails these addresses when a model of `schedule` is not up to date, has failed, was refused, was late, or is near `schedule.max_usd`. Google asks for no confirmation. `models`: without `schedule`, the models that another scheduler does with `cloudlstm daily --target=…`. `absent_hours`: after how many hours without a day; null: 27 if `schedule.time` ends with `* * *`, 75 if it ends with `* * 1-5`; of other times, and with `models`, it must be set. null, or without `schedule` and `models`: there are no alarms."
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
  description = "Name of the bucket of runs, which the root in `storage/` makes; null: `<name>-<project>`."
  type        = string
  default     = null

  validation {
    condition     = var.bucket == null || can(regex("^[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket is a bare name of 3 to 63 lower-case letters, digits, hyphens and underscores: no gs://, no dots."
  }
}

variable "budget" {
  description = "Mails these addresses when the project's cost of a month nears its limit. Needs the id of the billing account, which must count in USD, and the right to make budgets on it. `only_tagged` counts just what carries our label."
  type = object({
    billing_account = string
    monthly_usd     = number
    emails          = list(string)
    only_tagged     = optional(bool, false)
  })
  default = null

  validation {
    condition     = var.budget == null || try(var.budget.monthly_usd >= 1 && length(var.budget.emails) >= 1 && length(var.budget.emails) <= 5, false)
    error_message = "A budget needs a limit of at least 1 and one to five addresses."
  }

  validation {
    condition     = var.budget == null || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account))
    error_message = "billing_account is an id such as 012345-6789AB-CDEF01."
  }
}

variable "debug_access" {
  description = "Lets those who may use Identity-Aware Proxy log in to trainers and Spark nodes by SSH: a firewall rule from Google's proxy to port 22."
  type        = bool
  default     = false
}

variable "egress" {
  description = "How the machines reach the internet. `nat`: Cloud NAT, about 0.14 cents an hour and machine plus 4.5 cents a GB, and half a cent an hour for its address while machines run; with a `network` of your own: its way out. `none`: not at all; then source yahoo cannot be fetched. Google's services are reached in any case."
  type        = string
  default     = "nat"

  validation {
    condition     = contains(["nat", "none"], var.egress)
    error_message = "egress is \"nat\" or \"none\"."
  }
}

variable "kms_key" {
  description = "Cloud KMS key of disks and of the buckets that this root makes, as projects/…/locations/…/keyRings/…/cryptoKeys/…; null: Google's own keys, which cost nothing. The service agents of Cloud Storage, Compute Engine and Dataproc need rights on the key."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key == null || can(regex("^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "kms_key is a key's full name: projects/…/locations/…/keyRings/…/cryptoKeys/…, without a version."
  }
}

variable "labels" {
  description = "Further labels of everything, as your organization's rules ask for."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for key, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", key)) && can(regex("^[a-z0-9_-]{0,63}$", value)) && key != "cloudlstm"])
    error_message = "labels have keys and values of at most 63 lower-case letters, digits, hyphens and underscores; cloudlstm is ours."
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
  description = "Prefix of all names, and the value of the label `cloudlstm` on everything. A name can be used once in a project."
  type        = string
  default     = "cloudlstm"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name)) && !startswith(var.name, "goog") && !strcontains(var.name, "google")
    error_message = "name is 3 to 20 lower-case letters, digits and hyphens, beginning with a letter, not ending in a hyphen, and without the name of Google."
  }
}

variable "network" {
  description = "Puts the machines into a subnet that exists instead of a network of their own: `subnetwork` is its full name, projects/…/regions/…/subnetworks/…. It must be in the region and have Private Google Access, and its network a route 0.0.0.0/0 to the internet gateway. `firewall_rules = false` leaves the rules to whoever runs the network."
  type = object({
    subnetwork     = string
    firewall_rules = optional(bool, true)
  })
  default = null

  validation {
    condition     = var.network == null || can(regex("^projects/[^/]+/regions/[^/]+/subnetworks/[^/]+$", var.network.subnetwork))
    error_message = "network.subnetwork is a subnet's full name: projects/…/regions/…/subnetworks/…."
  }
  validation {
    condition     = var.network == null || try(split("/", var.network.subnetwork)[3] == var.region, true)
    error_message = "network.subnetwork must be in region."
  }
}

variable "network_cidr" {
  description = "Addresses of the network; its one subnet takes all of them. Without meaning if `network` is given."
  type        = string
  default     = "10.40.0.0/16"

  validation {
    condition     = can(cidrhost(var.network_cidr, 0)) && try(tonumber(split("/", var.network_cidr)[1]) >= 16 && tonumber(split("/", var.network_cidr)[1]) <= 24, false)
    error_message = "network_cidr is an IPv4 network from /16 to /24, such as 10.40.0.0/16."
  }
}

variable "project" {
  description = "Id of the Google Cloud project of everything."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project is the id of a project, such as my-project-123: not its name and not its number."
  }
}

variable "read_buckets" {
  description = "Names of other buckets from which runs may read bars (`market.path = \"gs://NAME/…\"`)."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for bucket in var.read_buckets : can(regex("^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$", bucket))])
    error_message = "read_buckets are bare names of buckets: no gs://, no path, no wildcard."
  }
}

variable "region" {
  description = "Google Cloud region of everything."
  type        = string
  default     = "us-central1"

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region is a region such as us-central1: a zone has a letter more, a multi-region less."
  }
}

variable "schedule" {
  description = "Lets a machine come by itself, do `cloudlstm daily` for each of `models`, and leave. `time` is cron in five fields, of digits only, in `time_zone`: \"30 18 * * 1-5\" in \"America/New_York\" is two and a half hours after the close. `max_usd`: what a model may spend in a month. It lives for at most `max_hours`; an hour costs 7 cents. Needs `egress = \"nat\"`, and `cloudlstm schedule --target=…` once, which sends its code. null: nothing comes."
  type = object({
    time      = string
    time_zone = string
    models    = list(string)
    max_usd   = optional(number)
    machine   = optional(string, "e2-standard-2")
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

variable "spark_disk_gib" {
  description = "Disk of every Spark node in GiB, for shuffles and HDFS; about 10 cents a GiB and month, only while it lives. Three nodes of 50 and a trainer stay below the 250 GiB of SSD that a new project has."
  type        = number
  default     = 50

  validation {
    condition     = var.spark_disk_gib >= 50 && var.spark_disk_gib <= 2000 && floor(var.spark_disk_gib) == var.spark_disk_gib
    error_message = "spark_disk_gib is a whole number from 50 to 2000: Dataproc's image takes 30."
  }
}

variable "spark_idle_minutes" {
  description = "Minutes without a job after which the cluster deletes itself. The next run starts another one."
  type        = number
  default     = 60

  validation {
    condition     = var.spark_idle_minutes >= 5 && var.spark_idle_minutes <= 1440 && floor(var.spark_idle_minutes) == var.spark_idle_minutes
    error_message = "spark_idle_minutes is a whole number from 5 to 1440."
  }
}

variable "spark_machine" {
  description = "Machine type of every Spark node, x86-64. n2-standard-4: about 24 cents an hour and node, Dataproc's fee and the disk included."
  type        = string
  default     = "n2-standard-4"

  validation {
    condition     = !can(regex("^(c4a|n4a|t2a|a4x)-", var.spark_machine))
    error_message = "spark_machine is x86-64: Dataproc's Debian images are."
  }
}

variable "spark_max_nodes" {
  description = "Most workers that autoscaling may run."
  type        = number
  default     = 4

  validation {
    condition     = var.spark_max_nodes >= 2 && var.spark_max_nodes <= 200 && floor(var.spark_max_nodes) == var.spark_max_nodes
    error_message = "spark_max_nodes is a whole number from 2 to 200."
  }
}

variable "spark_min_nodes" {
  description = "Workers that run as long as the cluster does; always on demand."
  type        = number
  default     = 2

  validation {
    condition     = var.spark_min_nodes >= 2 && var.spark_min_nodes <= var.spark_max_nodes && floor(var.spark_min_nodes) == var.spark_min_nodes
    error_message = "spark_min_nodes is a whole number from 2 to spark_max_nodes."
  }
}

variable "spark_project_role" {
  description = "Role of Spark nodes on the project. null: one of our own that reaches no objects. `roles/dataproc.worker` is Google's usual one; with it a job on Spark may read and write every bucket of the project, also what trainers execute."
  type        = string
  default     = null

  validation {
    condition     = var.spark_project_role == null || can(regex("^(roles|projects/[^/]+/roles|organizations/[0-9]+/roles)/[A-Za-z0-9._]+$", var.spark_project_role))
    error_message = "spark_project_role is null or a role's full name, such as roles/dataproc.worker."
  }
}

variable "spark_python" {
  description = "Python on the Spark nodes, that of their distribution. Debian 12 has 3.11, Debian 13 has 3.13."
  type        = string
  default     = "3.11"

  validation {
    condition     = var.spark_python == (endswith(var.spark_release, "-debian13") ? "3.13" : "3.11")
    error_message = "spark_python is \"3.11\" on images that end in -debian12, and \"3.13\" on -debian13."
  }
}

variable "spark_release" {
  description = "Dataproc image version: 2.3-debian12 (Spark 3.5, supported to 2027-06), 2.2-debian12, or 3.0-debian13 (Spark 4.1, supported to 2028-07)."
  type        = string
  default     = "2.3-debian12"

  validation {
    condition     = can(regex("^(2\\.[2-9]-debian12|3\\.[0-9]+-debian13)$", var.spark_release))
    error_message = "spark_release is an image version such as 2.3-debian12 or 3.0-debian13."
  }
}

variable "spark_spot" {
  description = "Takes the workers above spark_min_nodes from the spot market, about 60 % cheaper; losing one costs its tasks, and now and then the job, if it held the driver: then submit again."
  type        = bool
  default     = false
}

variable "submitters" {
  description = "Principals that may act as the service account `<name>-submitter`, such as user:ann@example.org. Empty: whoever may do so by a grant of its own."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.submitters : can(regex("^((user|group|serviceAccount):[^@ ]+@[^@ ]+|principal(Set)?://iam[.]googleapis[.]com/[^ ]+)$", member))])
    error_message = "submitters are principals such as user:ann@example.org, group:…, serviceAccount:… or principal://…: never allUsers."
  }
}

variable "trainer_disk_gib" {
  description = "Disk of a trainer machine in GiB; about 10 cents a GiB and month, only while it lives."
  type        = number
  default     = 80

  validation {
    condition     = var.trainer_disk_gib >= 60 && var.trainer_disk_gib <= 2000 && floor(var.trainer_disk_gib) == var.trainer_disk_gib
    error_message = "trainer_disk_gib is a whole number from 60 to 2000: image, CUDA and TensorFlow take 40."
  }
}

variable "trainer_gpu" {
  description = "The trainers' accelerator. `none`: CPU only."
  type        = string
  default     = "t4"

  validation {
    condition     = contains(["none", "t4", "l4", "a100"], var.trainer_gpu)
    error_message = "trainer_gpu is one of none, t4, l4, a100."
  }
}

variable "trainer_image" {
  description = "Image of the trainers, x86-64: projects/PROJECT/global/images/family/FAMILY, or …/images/NAME for one that never changes. null: Ubuntu without a GPU, else Google's Deep Learning VM with NVIDIA's driver. Google retires families with their driver; then name the next one."
  type        = string
  default     = null

  validation {
    condition     = var.trainer_image == null || can(regex("^projects/[^/]+/global/images/(family/)?[a-z0-9-]+$", var.trainer_image))
    error_message = "trainer_image is projects/PROJECT/global/images/family/FAMILY or projects/PROJECT/global/images/NAME."
  }
}

variable "trainer_machines" {
  description = "Machine type for trainers, instead of the usual one for trainer_gpu; at most one, as a group's machines are all alike. T4s are attached to n1 types, L4s come with g2 types, A100s with a2 types."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.trainer_machines) <= 1
    error_message = "trainer_machines is at most one type: a group's machines are all alike."
  }
  validation {
    condition = alltrue([for machine in var.trainer_machines : can(regex(
      lookup({ t4 = "^n1-", l4 = "^g2-", a100 = "^a2-" }, var.trainer_gpu, "^(c2|c2d|c3|c3d|e2|n1|n2|n2d|t2d)-"), machine
    ))])
    error_message = "trainer_machines must be x86-64 and able to carry trainer_gpu: n1 types for t4, g2 for l4, a2 for a100, such as n2, e2 or c3 for none."
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
  description = "Number of zones over which trainers may spread. 1: all of a run in one, whichever of `zones` has room; what workers exchange then stays in a zone. More find scarce GPUs sooner, at 1 cent a GB between zones and more latency."
  type        = number
  default     = 1

  validation {
    condition     = var.trainer_zones >= 1 && var.trainer_zones <= 6 && floor(var.trainer_zones) == var.trainer_zones
    error_message = "trainer_zones is a whole number from 1 to 6."
  }
}

variable "zones" {
  description = "Letters of the zones in which trainers may start, as in us-central1-a. Zones that the region does not have, or that lack the machine type, are passed over; whether a T4 can be attached there is not known beforehand."
  type        = list(string)
  default     = ["a", "b", "c"]

  validation {
    condition     = length(var.zones) >= 1 && length(var.zones) <= 6 && length(distinct(var.zones)) == length(var.zones) && alltrue([for letter in var.zones : can(regex("^[a-z]$", letter))])
    error_message = "zones are one to six different letters."
  }
}
