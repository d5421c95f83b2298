"""Google's part: Dataproc and Compute Engine, what a target needs of them, as their REST clients know them."""
