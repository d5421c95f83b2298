"""The emulated Google Cloud: the parts of Dataproc's and Compute Engine's REST APIs that a target needs."""
