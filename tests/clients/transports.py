"""Asks a server on loopback over TLS, HTTPS, HTTP/3 and QUIC, several times over one connection where it can.

Arguments: the certificate to trust, and the ports of the four, in that order.
"""

import sys

import dns.message
import dns.query
import dns.rcode

NAME = "ns1.gslb.example"
SERVER = "127.0.0.1"

certificate, dot, doh, doh3, doq = sys.argv[1], *map(int, sys.argv[2:6])


def check(transport, ask):
    for name, rcode in [(NAME, dns.rcode.NOERROR), ("nothing.gslb.example", dns.rcode.NXDOMAIN)]:
        reply = ask(dns.message.make_query(name, "A", use_edns=0))
        assert reply.rcode() == rcode, reply
        assert (len(reply.answer) == 1) == (rcode == dns.rcode.NOERROR), reply
    print(f"{transport}: ok")


check("TLS", lambda query: dns.query.tls(
    query, SERVER, port=dot, timeout=5, server_hostname=NAME, verify=certificate))
uri = f"https://{NAME}:{{}}/dns-query"
check("HTTPS", lambda query: dns.query.https(
    query, uri.format(doh), timeout=5, bootstrap_address=SERVER, verify=certificate,
    http_version=dns.query.HTTPVersion.H2))
check("HTTP/3", lambda query: dns.query.https(
    query, uri.format(doh3), timeout=5, bootstrap_address=SERVER, verify=certificate,
    http_version=dns.query.HTTPVersion.H3))
check("QUIC", lambda query: dns.query.quic(
    query, SERVER, port=doq, timeout=5, server_hostname=NAME, verify=certificate))
