"""The pilot: a few of the user's problems, a few controls, and what they say of a full run (docs/pilot.md).

`controls` says what is asked beside the road, `diagnose` reads a pilot's store, `reckon` reckons the
full run from it, `advise` puts it into words.
"""
