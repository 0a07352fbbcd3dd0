"""The networks: a registry of data, one file of plain builder functions for each family."""
