"""Who may do what: roles, and one table of permissions that every door asks."""

from collections.abc import Mapping
from typing import Literal, get_args

Role = Literal["viewer", "analyst", "editor", "admin", "agent", "server", "client"]
"""What somebody is.

``viewer`` reads. ``analyst`` also looks and notes what was heard. ``editor`` also proposes, starts, decides and
switches flags. ``admin`` also gives out access. ``agent`` is a program that reads and proposes, and never starts,
decides or ends anything. ``server`` and ``client`` are SDKs: they evaluate and send, and see nothing of a team's work.
"""

UserRole = Literal["viewer", "analyst", "editor", "admin"]
"""What people are; programs hold keys instead."""

Permission = Literal[
    "read", "look", "note", "acknowledge", "propose", "edit", "run", "decide", "unseal", "switch", "audit",
    "grant", "evaluate", "rules", "send",
]  # fmt: skip
"""Something that may be done.

Attributes:
    read: see experiments, flags, metrics, looks that were taken, documents, alerts, jobs.
    look: take a look, which costs a share of alpha.
    note, acknowledge: write down what was heard; accept a failed check with a reason.
    propose: plan an experiment. edit: change an experiment, or a flag.
    run: start, stop and extend. decide: make a verdict final. unseal: see effects of a sealed experiment.
    switch: kill and revive a flag.
    audit: read who changed what. grant: give and take users and keys.
    evaluate: ask flags, as OFREP does. rules: read their rules. send: send events.
"""

PERMISSIONS: Mapping[Permission, frozenset[Role]] = {
    "read": frozenset({"viewer", "analyst", "editor", "admin", "agent"}),
    "look": frozenset({"analyst", "editor", "admin"}),
    "note": frozenset({"analyst", "editor", "admin"}),
    "acknowledge": frozenset({"analyst", "editor", "admin"}),
    "propose": frozenset({"editor", "admin", "agent"}),
    "edit": frozenset({"editor", "admin"}),
    "run": frozenset({"editor", "admin"}),
    "decide": frozenset({"editor", "admin"}),
    "unseal": frozenset({"editor", "admin"}),
    "switch": frozenset({"editor", "admin"}),
    "audit": frozenset({"analyst", "editor", "admin"}),
    "grant": frozenset({"admin"}),
    "evaluate": frozenset({"server", "client"}),
    "rules": frozenset({"server"}),
    "send": frozenset({"server", "client"}),
}
"""What is in no row of this table is forbidden."""

ROLES: tuple[Role, ...] = get_args(Role)
USER_ROLES: tuple[UserRole, ...] = get_args(UserRole)


def may(role: Role, permission: Permission) -> bool:
    """Whether a role may do something.

    >>> may("editor", "decide"), may("agent", "propose"), may("agent", "decide")
    (True, True, False)
    """
    return role in PERMISSIONS[permission]
