"""``jitloss compare``: the ways to write one loss, side by side, on the same data in the same run.

==============  =====================================================================
``cases``       data with weights: what is computed
``contenders``  who computes it: the table of implementations, the course's naive way
``tuned``       NumPy written for speed
``peers``       and other libraries
``measure``     sides in turn, medians and quartiles, memory
``first_call``  a fresh process, with a cold and with a warm cache
``machine``     what it all ran on, and equal threads for both sides
``results``     the figures, and whether an answer is right
``roof``        what memory and arithmetic allow
``table``       for a terminal, ``plot`` and ``roofline`` for a projector
``run``         puts them together
==============  =====================================================================
"""
