"""M2: the teacher learns from its students' results; nothing is imported before it is used."""
