"""Keras graphs read and rewritten: where a classifier's maps come from, finer maps by dilation."""
