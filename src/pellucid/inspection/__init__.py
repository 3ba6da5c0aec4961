"""A network seen through: every operation of a pass, every number taken apart, what it costs."""
