"""Why a job ended as it did: a status, the cause in plain words, and advice."""
