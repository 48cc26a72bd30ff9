"""Addresses that alerts never reach, in every form that reads as one of them."""

import socket
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot.errors import UnavailableError
from upshot.services.addresses import ForbiddenAddressError, is_public, read_allowed, resolve

NOTHING = read_allowed([])

INNER = [
    "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "100.100.100.200", "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::", "::1", "fe80::1",
    "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe", "::7f00:1",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::1",
    "2001:0:7f00:1::", "2001::80ff:fffe",
]  # fmt: skip


@pytest.mark.parametrize("text", INNER)
def test_inner_addresses_are_not_public(text):
    assert not is_public(ip_address(text))


@pytest.mark.parametrize(
    "text", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_addresses_of_the_internet_are(text):
    assert is_public(ip_address(text))


@given(st.ip_addresses(v=4))
def test_an_address_in_another_is_as_public_as_it_is_alone(inner):
    number = int(inner)
    for wrapped in (
        (0xFFFF << 32) | number,
        int(ip_address("64:ff9b::")) | number,
        (0x2002 << 112) | number << 80,
    ):
        assert is_public(ip_address(wrapped.to_bytes(16, "big"))) == is_public(inner)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", "::1", "::ffff:127.0.0.1",
        "::ffff:7f00:1", "169.254.169.254", "2852039166", "0xa9fea9fe",
    ],
)  # fmt: skip
def test_every_way_to_write_an_inner_address_is_refused(host):
    with pytest.raises(ForbiddenAddressError, match="is not a public address: give another, or allow it"):
        resolve(host, 443, NOTHING)


@pytest.mark.parametrize("entry", ["127.0.0.0/8", "127.0.0.1", "localhost", "LOCALHOST"])
def test_what_is_allowed_is_reached(entry):
    host = "localhost" if entry.islower() or entry.isupper() else "127.0.0.1"
    assert ip_address("127.0.0.1") in resolve(host, 443, read_allowed([entry, "::1"]))


def test_a_mapped_address_is_allowed_with_what_it_maps():
    assert resolve("::ffff:127.0.0.1", 80, read_allowed(["127.0.0.1"]))


def answer(*addresses):
    def getaddrinfo(host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]

    return getaddrinfo


def test_a_name_with_one_inner_address_among_others_is_refused(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", answer("93.184.216.34", "10.0.0.1"))
    with pytest.raises(ForbiddenAddressError, match=r"hooks\.example is 10\.0\.0\.1"):
        resolve("hooks.example", 443, NOTHING)
    monkeypatch.setattr(socket, "getaddrinfo", answer("93.184.216.34"))
    assert resolve("hooks.example", 443, NOTHING) == (ip_address("93.184.216.34"),)


def test_a_name_without_an_address_may_have_one_later():
    with pytest.raises(UnavailableError, match=r"nowhere\.invalid has no address now"):
        resolve("nowhere.invalid", 443, NOTHING)
