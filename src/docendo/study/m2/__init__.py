"""The study of M2: is a teacher tuned by its students' results better than one that is tuned by golds alone?"""
