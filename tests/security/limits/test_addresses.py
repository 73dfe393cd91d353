"""Whose request it is: a header counts only where a trusted proxy wrote it."""

from ipaddress import ip_network

import pytest

from security.limits.addresses import bucket_of, client_address

PROXIES = [ip_network("10.0.0.0/24")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "client"),
    [
        ("1.2.3.4", "", [], "1.2.3.4"),
        ("1.2.3.4", "9.9.9.9", [], "1.2.3.4"),
        ("1.2.3.4", "9.9.9.9", PROXIES, "1.2.3.4"),
        ("10.0.0.5", "9.9.9.9", PROXIES, "9.9.9.9"),
        ("10.0.0.5", "", PROXIES, "10.0.0.5"),
        # the caller wrote the first one
        ("10.0.0.5", "6.6.6.6, 9.9.9.9", PROXIES, "9.9.9.9"),
        ("10.0.0.5", "6.6.6.6, 9.9.9.9, 10.0.0.7", PROXIES, "9.9.9.9"),
        ("10.0.0.5", "9.9.9.9, rubbish", PROXIES, "10.0.0.5"),
        ("::ffff:10.0.0.5", "9.9.9.9", PROXIES, "9.9.9.9"),
        ("unknown", "9.9.9.9", PROXIES, "unknown"),
    ],
)
def test_the_header_is_read_from_its_end_as_far_as_it_is_trusted(peer, forwarded, trusted, client):
    assert client_address(peer, forwarded, trusted) == client


def test_an_ipv6_caller_is_counted_with_the_network_they_have():
    assert bucket_of("2001:db8::1") == bucket_of("2001:db8::ffff:1") == "2001:db8::/64"
    assert bucket_of("2001:db8:0:1::1") != bucket_of("2001:db8::1")
    assert bucket_of("1.2.3.4") != bucket_of("1.2.3.5")
