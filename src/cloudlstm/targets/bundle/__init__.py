"""The files that cloud machines get: the package, its dependencies and its job scripts, as archives."""
