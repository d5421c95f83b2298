"""The emulated AWS: moto's APIs, with steps, machines and errors that moto lacks."""
