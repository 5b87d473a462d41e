"""Small windows over the main one: actions, keys, and labels out to files and in."""
