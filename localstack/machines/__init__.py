"""The machines of an emulated cloud: trainers as processes, and what every node finds on it."""
