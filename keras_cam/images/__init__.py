"""Finding, reading and resizing image files, in batches too; and writing files atomically."""
