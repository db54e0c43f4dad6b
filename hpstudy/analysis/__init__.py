"""What the landscape says: numbers with intervals and verdicts as enums.

`read_runs` reads anyone's table, `Landscape` holds one network's accuracies, `StudyAnalysis` has
every number of a study, and `verdict` answers whether a hyperparameter may be kept.
"""
