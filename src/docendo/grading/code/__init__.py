"""Code: a problem's tests (spec), and what they say of a program."""
