"""Exchange formats of label maps, one file a format."""
