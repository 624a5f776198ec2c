"""What a run tells that its caller should hear of, though it is done."""

from __future__ import annotations

import warnings
from typing import Any

from .errors import IncompleteWarning, RejectedWarning


def told(report: dict[str, Any], *, stacklevel: int) -> dict[str, Any]:
    """The report; warns of what is not in the lake."""
    if report["rejected"]:
        where = f": see {report['rejects_file']}" if report.get("rejects_file") else ""
        warnings.warn(f"{report['rejected']} tasks could not be read{where}", RejectedWarning, stacklevel=stacklevel)
    fetch = report.get("fetch") or {}
    for listing in fetch.get("left_out", []):
        text = f"the API answered {listing['path']} with {listing['status']}: what it lists is missing from the lake"
        warnings.warn(text, IncompleteWarning, stacklevel=stacklevel)
    if missing := fetch.get("missing_task_ids"):
        warnings.warn(f"the API does not know {len(missing)} of the tasks asked for", IncompleteWarning, stacklevel=stacklevel)
    for held in report.get("held_deliveries", []):
        text = f"the delivery {held['delivery_id']} says that it has {held['task_count']} tasks, and {held['found']} came: they are held back"
        warnings.warn(text, IncompleteWarning, stacklevel=stacklevel)
    return report
