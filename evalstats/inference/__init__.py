"""How a sampling distribution is obtained and what is derived from it.

The only code that draws random numbers, splits work over threads or knows what a cluster is.
"""
