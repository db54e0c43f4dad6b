"""Many runs: which are missing, what they cost, and who trains them."""
