"""Schooling: how the schoolhouse's teacher and students are trained from scratch (the `train` extra).

Nothing here is needed to use the shipped models; `python -m docendo.schoolhouse.schooling` remakes them.
"""
