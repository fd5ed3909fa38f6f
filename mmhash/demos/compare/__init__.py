"""The features of one real image, hashed as engines do today and by mmhash.

Data flows one way: command -> comparison -> timing.
"""
