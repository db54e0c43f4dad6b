"""Many runs: which are missing, what they cost, and who trains them.

`Plan` lists the missing runs of a study, `price` estimates their seconds, and `sweep` has them
trained by local workers or on a Ray cluster.
"""
