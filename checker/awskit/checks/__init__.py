"""All the checks. Importing this package fills `model.REGISTRY`, in the order in which a report should list them."""

from . import lifecycle, answers, notfound, files, concurrency  # noqa: F401, E401 (the order is the reports' order)
