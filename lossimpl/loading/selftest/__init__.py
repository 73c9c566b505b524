"""What the laboratory promises, measured on this machine.

search        the chosen settings are within 5 percent of the best of the full product
budget        a search keeps its budget
bottlenecks   a planted bottleneck is named by `observe`
overhead      neither the drive loop nor `observe` slows an epoch down
trainings     the gain that `observe` predicts is the gain that is measured
"""
