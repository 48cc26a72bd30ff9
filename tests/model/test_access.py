"""The table of permissions, read as promises."""

from itertools import pairwise
from typing import get_args

import pytest

from upshot.model.access import PERMISSIONS, ROLES, USER_ROLES, Permission, may

OF_PEOPLE = ("viewer", "analyst", "editor", "admin")


def test_every_permission_is_in_the_table_and_somebody_has_it():
    assert set(PERMISSIONS) == set(get_args(Permission))
    assert all(roles and roles <= set(ROLES) for roles in PERMISSIONS.values())


def test_each_role_of_people_may_all_that_the_one_below_may():
    granted = [{one for one in PERMISSIONS if may(role, one)} for role in OF_PEOPLE]
    assert granted == sorted(granted, key=len)
    assert all(low < high for low, high in pairwise(granted))
    assert OF_PEOPLE == USER_ROLES


def test_an_agent_reads_and_proposes_and_nothing_else():
    assert {one for one in PERMISSIONS if may("agent", one)} == {"read", "propose"}


@pytest.mark.parametrize("role", ["server", "client"])
def test_what_an_sdk_holds_opens_nothing_of_a_teams_work_and_the_other_way_round(role):
    granted = {one for one in PERMISSIONS if may(role, one)}
    assert granted <= {"evaluate", "rules", "send"}
    assert not granted & {one for one in PERMISSIONS if may("admin", one)}


def test_rules_never_go_to_browsers():
    assert not may("client", "rules")
