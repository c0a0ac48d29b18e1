"""M3: sets of examples that improve by reading where students fail (paper, section 5).

`walk` is the method, and a function of the replies; `run` gives it a run folder.
"""
