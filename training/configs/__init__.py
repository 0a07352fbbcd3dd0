"""The configurations of the package; the header of each has its command, duration and results."""
