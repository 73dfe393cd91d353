"""From imported rows to a dataset version, a chunk at a time.

    chunk by chunk:  normalise ─▶ quality ─▶ mask_personal_data ─▶ leakage          cleaning.py
    over all rows:   exact_duplicates ─▶ near_duplicates ─▶ other_versions          deciding.py
                     ─▶ split                                                       deciding.py
    in order:        parts of the version, statistics, manifest                     preparing.py

Memory does not grow with the rows but for some hundred bytes each (hashes, scores, sides). A chunk's files are written
once and found again after a kill. Any number of workers gives the same version.
"""
