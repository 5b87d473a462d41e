"""What tools do with masks and label maps: pure functions of arrays, fit for any thread."""
