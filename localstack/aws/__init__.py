"""Amazon's part: moto's servers for the APIs, with the life that they lack."""
