"""The private network of an emulated cloud, and the relays that lead in and out of it."""
