"""Image files: found, read, resized, and read in batches; and files that are written whole or not at all."""
