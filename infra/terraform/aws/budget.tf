# Mails a warning when the month's cost nears its limit. It stops nothing: machines stop at their own deadlines.

resource "aws_budgets_budget" "monthly" {
  count = var.budget == null ? 0 : 1

  name         = var.name
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_unit   = "USD"
  limit_amount = format("%.2f", var.budget.monthly_usd)

  dynamic "cost_filter" {
    for_each = var.budget.only_tagged ? [1] : []

    content {
      name   = "TagKeyValue"
      values = [format("user:cloudlstm$%s", var.name)]
    }
  }

  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }

    content {
      notification_type          = notification.key
      comparison_operator        = "GREATER_THAN"
      threshold                  = notification.value
      threshold_type             = "PERCENTAGE"
      subscriber_email_addresses = var.budget.emails
    }
  }
}
