"""The schema's revisions, oldest first. An ordinary start compares the store's with the last one, no more."""

VERSION_TABLE = "orderctl_version"
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011")
CURRENT = REVISIONS[-1]

# "ordc": marks a SQLite file as ours, beside the version table, and on PostgreSQL the lock of the schema.
APPLICATION_ID = 0x6F726463
