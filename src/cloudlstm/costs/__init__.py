"""What a run costs on a cloud: list prices, the estimate before a run, and the cost of what it has used."""
