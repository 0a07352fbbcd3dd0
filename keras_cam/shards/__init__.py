"""Any number of photos, cut into shards; each becomes a part, a file that is there whole or not at all."""
