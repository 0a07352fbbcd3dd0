"""The commands of `keras-cam`, one a file: `add_parser` declares what it takes, `run` does it.

Everything heavy is imported inside `run`, so that help and errors of usage appear at once.
"""
