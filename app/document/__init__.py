"""What is edited: images, label maps, strokes, undo. No widgets, no torch, no files."""
