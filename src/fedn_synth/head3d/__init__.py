"""Generated faces as heads of a three-dimensional mesh."""
