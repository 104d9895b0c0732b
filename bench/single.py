"""What is measured once per mount and not per operation: start-up time, memory per node."""


def all_rows(c, a, progress):
    return []
