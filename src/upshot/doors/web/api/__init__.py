"""The management API under ``/api``: everything that a team does, over the same services as the command line."""
