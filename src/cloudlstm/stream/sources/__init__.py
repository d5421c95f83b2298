"""Where the bars of a stream come from: topics of Kafka, and landed files."""
