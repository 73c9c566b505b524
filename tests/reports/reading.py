"""A results folder as pages and nights see it: by an archive of its own, here with every row whole."""

import tempfile
from functools import cached_property

import pandas as pd

from reports.record.frames import SESSION, frame
from reports.record.mirror import mirror
from reports.record.stored import Stored


class Whole(Stored):
    """The stored rows with their rounds, of losses and loaders alike."""

    @cached_property
    def rows(self):
        """One session after the other."""
        sql = f"SELECT DISTINCT {', '.join(SESSION)} FROM rows ORDER BY ALL"
        found = [self.rows_of(one, "true") for one in self.queries.connection.execute(sql).fetchall()]
        return pd.concat(found, ignore_index=True) if found else frame([])


def read(folder):
    """Everything in a folder."""
    return Whole(*mirror(folder, tempfile.mkdtemp()))
