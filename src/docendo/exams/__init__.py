"""Exams: which problems a lesson is examined on (select) and what the answers say of it (score)."""
