"""In CI the examples of hypothesis are the same in every run; at a desk they are new each time."""

import os

from hypothesis import settings

settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("desk", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "desk")

collect_ignore = ["src/upshot/store/migrations/env.py"]  # runs within Alembic only
