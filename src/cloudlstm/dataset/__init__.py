"""From features to labelled windows: sequences in TFRecord shards, and the reader that cuts windows from them."""
