"""The drawing tools, one file each behind one interface."""
