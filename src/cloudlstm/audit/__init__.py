"""The leakage audit: which columns of a feature table contain what was not known at the time of their row.

from cloudlstm import audit
result = audit.audit_table(table, audit.Settings(price="close"))
audit.perturbation(my_features, bars)
"""

from __future__ import annotations

from cloudlstm.audit.findings import Audit, Coverage, Finding
from cloudlstm.audit.functions import Dependence, perturbation, recursive
from cloudlstm.audit.roles import Settings
from cloudlstm.audit.run import audit_file, audit_table

__all__ = [
    "Audit",
    "Coverage",
    "Dependence",
    "Finding",
    "Settings",
    "audit_file",
    "audit_table",
    "perturbation",
    "recursive",
]
