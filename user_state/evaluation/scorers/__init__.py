"""Ways to score items for a user, one a file: baselines that stand in every table, and the methods of this project.

A scorer is made for a log (`Interactions`) and keyword settings, learns ranges of it, and scores on request; see
`user_state.evaluation.scoring.Scorer`. Docstrings say where a method comes from.
"""
