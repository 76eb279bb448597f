"""PLACEHOLDER until mail lands: overwrite me whole."""


class SqlOutbox:
    def __init__(self, connection):
        self._connection = connection
