"""What is on disk: the project file, and images being read. No widgets."""
