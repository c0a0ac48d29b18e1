"""The school's third domain: small texts that a hidden rule calls yes or no, learnt from labelled examples alone."""
