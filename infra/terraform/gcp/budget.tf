# Mails a warning when the month's cost nears its limit. It stops nothing: machines stop at their own deadlines.

data "google_project" "this" {
  count = var.budget == null ? 0 : 1

  project_id = var.project
}

resource "google_monitoring_notification_channel" "budget" {
  for_each = toset(var.budget == null ? [] : var.budget.emails)

  display_name = "Budget of ${var.name}"
  type         = "email"
  labels       = { email_address = each.key }
}

resource "google_billing_budget" "monthly" {
  count = var.budget == null ? 0 : 1

  billing_account = var.budget.billing_account
  display_name    = var.name

  budget_filter {
    projects        = ["projects/${data.google_project.this[0].number}"]
    calendar_period = "MONTH"
    labels          = var.budget.only_tagged ? { cloudlstm = var.name } : null
  }

  amount {
    specified_amount {
      currency_code = "USD"
      units         = tostring(floor(var.budget.monthly_usd))
    }
  }

  dynamic "threshold_rules" {
    for_each = { CURRENT_SPEND = 0.8, FORECASTED_SPEND = 1.0 }

    content {
      spend_basis       = threshold_rules.key
      threshold_percent = threshold_rules.value
    }
  }

  all_updates_rule {
    monitoring_notification_channels = [for channel in google_monitoring_notification_channel.budget : channel.name]
    disable_default_iam_recipients   = true
  }
}
