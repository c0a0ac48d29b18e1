"""Studies: declared beforehand, run once, told whole, whichever way they fall."""
