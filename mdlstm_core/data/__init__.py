"""Images and labeled datasets, read from disk; free of torch."""
