"""Ready configurations: each file says what starts it, how long it takes and how good it gets."""
