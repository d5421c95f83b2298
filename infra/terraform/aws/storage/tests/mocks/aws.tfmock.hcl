# What AWS would answer, as far as a plan depends on it.

mock_data "aws_caller_identity" {
  defaults = { account_id = "123456789012" }
}

mock_resource "aws_s3_bucket" {
  defaults = { arn = "arn:aws:s3:::cloudlstm-123456789012-us-east-1" }
}
