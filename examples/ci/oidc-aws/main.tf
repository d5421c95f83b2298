# What GitHub's workflows may do in an AWS account, without a key that lasts: each job shows a token of GitHub, and AWS gives it
# a role for as long as it asks for, at most four hours. One role reads, for plans of pull requests; one makes and removes
# everything, for jobs of one GitHub environment, which a person may have to approve; one may only become the root's submitter, for
# jobs of the environment "daily". Costs nothing. Apply it once, by hand:
#   terraform -chdir=examples/ci/oidc-aws init && terraform -chdir=examples/ci/oidc-aws apply -var repository=OWNER/NAME
# It prints the values of the variables that cloud.yml and models.yml need, and an entry for the root's variable `submitters`.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7"
    }
  }
}

provider "aws" {
  region = var.region
}

variable "environment" {
  description = "GitHub environment whose jobs may change the cloud."
  type        = string
  default     = "cloud"
}

variable "make_provider" {
  description = "false if the account knows GitHub's tokens already: it can do so only once."
  type        = bool
  default     = true
}

variable "name" {
  description = "Prefix of what may be made: the main root's variable `name`, and everything that begins with it."
  type        = string
  default     = "cloudlstm"
}

variable "region" {
  description = "AWS region."
  type        = string
  default     = "us-east-1"
}

variable "repository" {
  description = "Repository as it stands in the subject of GitHub's tokens: OWNER/NAME, or OWNER@ID/NAME@ID with immutable subjects, which repositories made or renamed since July 2026 have."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+(@[0-9]+)?/[A-Za-z0-9_.-]+(@[0-9]+)?$", var.repository))
    error_message = "repository is OWNER/NAME or OWNER@ID/NAME@ID, without wildcards."
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  issuer  = "token.actions.githubusercontent.com"
  arn     = "arn:${data.aws_partition.current.partition}"

  subjects = {
    plan  = "repo:${var.repository}:pull_request"
    apply = "repo:${var.repository}:environment:${var.environment}"
    daily = "repo:${var.repository}:environment:daily"
  }
  policies = {
    plan  = "${local.arn}:iam::aws:policy/ReadOnlyAccess"
    apply = "${local.arn}:iam::aws:policy/PowerUserAccess" # everything but IAM
  }
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.make_provider ? 1 : 0

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_iam_role" "ci" {
  # checkov:skip=CKV_AWS_393:The subjects are three literal ones of one repository; checkov does not resolve them.
  for_each = local.subjects

  name                 = "${var.name}-ci-${each.key}"
  description          = "Workflows of ${var.repository}: ${each.key}"
  max_session_duration = 14400

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = "${local.arn}:iam::${local.account}:oidc-provider/${local.issuer}" }
      Condition = { StringEquals = { "${local.issuer}:aud" = "sts.amazonaws.com", "${local.issuer}:sub" = each.value } }
    }]
  })

  depends_on = [aws_iam_openid_connect_provider.github]
}

resource "aws_iam_role_policy_attachment" "ci" {
  for_each = local.policies

  role       = aws_iam_role.ci[each.key].name
  policy_arn = each.value
}

# Of IAM only what carries our name, and never the roles of this folder. Even so this role can give another one of that name
# any right: use an account that holds nothing else that is precious, and let a person approve jobs of the environment.
resource "aws_iam_role_policy" "apply" {
  name = "roles-of-the-roots"
  role = aws_iam_role.ci["apply"].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "RolesOfTheRoots"
        Effect = "Allow"
        Action = [
          "iam:AddRoleToInstanceProfile", "iam:AttachRolePolicy", "iam:CreateInstanceProfile", "iam:CreateRole",
          "iam:DeleteInstanceProfile", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy",
          "iam:GetInstanceProfile", "iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies",
          "iam:ListInstanceProfilesForRole", "iam:ListInstanceProfileTags", "iam:ListRolePolicies", "iam:ListRoleTags",
          "iam:DeleteRolePermissionsBoundary", "iam:PassRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy",
          "iam:RemoveRoleFromInstanceProfile", "iam:TagInstanceProfile", "iam:TagRole", "iam:UntagInstanceProfile",
          "iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole", "iam:UpdateRoleDescription",
        ]
        Resource = [
          "${local.arn}:iam::${local.account}:role/${var.name}*",
          "${local.arn}:iam::${local.account}:instance-profile/${var.name}*",
        ]
      },
      {
        Sid      = "NotItsOwn"
        Effect   = "Deny"
        Action   = ["iam:*"]
        Resource = ["${local.arn}:iam::${local.account}:role/${var.name}-ci-*"]
      },
    ]
  })
}

# Its rights are those of the role `<name>-submitter`, which it takes on, for an hour at a time.
resource "aws_iam_role_policy" "daily" {
  name = "becomes-submitter"
  role = aws_iam_role.ci["daily"].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "BecomeSubmitter"
      Effect   = "Allow"
      Action   = "sts:AssumeRole"
      Resource = ["${local.arn}:iam::${local.account}:role/${var.name}-submitter"]
    }]
  })
}

output "submitter" {
  description = "An entry for the root's variable `submitters`."
  value       = aws_iam_role.ci["daily"].arn
}

output "variables" {
  description = "Variables of the GitHub repository that cloud.yml and models.yml read."
  value = {
    CLOUD          = "aws"
    AWS_REGION     = var.region
    AWS_ROLE_PLAN  = aws_iam_role.ci["plan"].arn
    AWS_ROLE_APPLY = aws_iam_role.ci["apply"].arn
    AWS_ROLE_DAILY = aws_iam_role.ci["daily"].arn
  }
}
