"""What a network's pooled features and their maps can find out about images: the paper's section 4 and 5."""
