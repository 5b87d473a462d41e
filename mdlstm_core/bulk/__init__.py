"""Labeling any number of images: a stream of names in, masks and a table of rows out."""
