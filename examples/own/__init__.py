"""A package of a user: two features, and two networks. `examples/own.toml` names them."""
