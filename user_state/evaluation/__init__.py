"""How good are a user's state and vectors at telling what the user does next? Measured honestly, baselines beside.

    interactions   the log: who did what, when, in order
    log_files      files -> interactions
    trials         which interactions are tested, what a scorer may know of them, which items compete
    scoring        what a scorer is; the run over a trial; ranks, with ties at their mean
    results        ranks -> MRR, recall, curves, JSON
    chart          curves -> SVG
    memory_store   records as Redis would hold them, in a dict
    replay         log -> what its records said before each question, by the code that folds and reads in production
    scorers/       one method a file
    catalogue      scorers by name and settings

A scorer is asked before it learns, always. Nothing here imports Beam, and `import user_state` does not import this.
"""
