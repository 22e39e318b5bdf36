"""``jitloss train``: fit a model to a data set, look at how it learned, keep what it learned."""
