"""Concepts, informative objects, questions, fine-grained crops and units: sections 4 and 5 of the paper."""
