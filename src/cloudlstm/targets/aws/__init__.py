"""AWS: steps on an EMR cluster, trainers in an Auto Scaling group."""
