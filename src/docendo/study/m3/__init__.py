"""The study of M3: sets of examples that improve over rounds, on the school's verbal tasks."""
