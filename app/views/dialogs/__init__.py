"""Small windows over the main one: to find an action, and to change its keys."""
