"""The command line `keras-cam`."""
