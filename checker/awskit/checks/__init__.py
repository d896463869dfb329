"""All the checks. Importing this package fills `model.REGISTRY`, in the order in which a report should list them."""

# isort: off (the order is the reports')
from . import lifecycle, answers, notfound, files, concurrency  # noqa: F401
from . import heads, sizes, names, pieces, cuts, asynchrony, idle  # noqa: F401
from . import aborts, changes, resources, hostile, requests  # noqa: F401
