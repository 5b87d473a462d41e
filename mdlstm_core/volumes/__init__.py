"""PyraMiD-LSTM: labeling every voxel of a stack of images."""
