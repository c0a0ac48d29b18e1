"""The school's second domain: families of tiny Python functions in confusable clusters."""
