"""The gate: is this commit worse than that one, on a noisy machine, with few false alarms?

``plan`` says what is measured, ``sides`` installs two commits side by side, ``worker`` measures one of them in a
process of its own, ``turns`` lets the two take turns, ``decide`` gives the verdicts, ``report`` shows them.
``injections`` and ``replay`` prove that it works.
"""
