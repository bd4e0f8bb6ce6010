"""Parts of the joblib backend (muster/joblib.py): batch sizes, the session of one run."""
