"""Servers that do wrong, each on a real socket: what a client must survive."""

import socket
import ssl
import threading
import time
from contextlib import contextmanager, suppress

import trustme

HEAD = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\n"


def never_answers(connection):
    time.sleep(30)


def error_500(connection):
    connection.sendall(HEAD % 500 + b"Content-Length: 4\r\n\r\noops")


def garbage(connection):
    connection.sendall(b"\x16\x03\x01\x00\xff garbage \x00\n" * 20)


def garbage_body(connection):
    connection.sendall(HEAD % 200 + b"Content-Length: 7\r\n\r\n<html>!")


def empty(connection):
    """Accepts, and hangs up without a word."""


def empty_body(connection):
    connection.sendall(HEAD % 200 + b"Content-Length: 0\r\n\r\n")


def slow(connection):
    """A byte of the head every tenth of a second: no single read is ever late."""
    for byte in HEAD % 200 + b"X-Slow: " + b"s" * 300:
        connection.sendall(bytes([byte]))
        time.sleep(0.1)


def slow_body(connection):
    connection.sendall(HEAD % 200 + b"Content-Length: 1000\r\n\r\n")
    for _ in range(300):
        connection.sendall(b" ")
        time.sleep(0.1)


def wrong_key(connection):
    connection.sendall(HEAD % 401 + b"Content-Length: 0\r\n\r\n")


def half_a_body(connection):
    connection.sendall(HEAD % 200 + b'Content-Length: 500\r\n\r\n{"format": 1, "revision"')


def half_a_chunk(connection):
    connection.sendall(HEAD % 200 + b'Transfer-Encoding: chunked\r\n\r\n100\r\n{"format": 1')


def another_list(connection):
    connection.sendall(HEAD % 200 + b"Content-Length: 2\r\n\r\n[]")


FAULTS = [
    never_answers,
    error_500,
    garbage,
    garbage_body,
    empty,
    empty_body,
    slow,
    slow_body,
    wrong_key,
    half_a_body,
    half_a_chunk,
    another_list,
]


@contextmanager
def faulty(behave, context=None):
    """The URL of a server that reads a request and then behaves so; with a context it speaks TLS."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    over = threading.Event()

    def answer(plain):
        with plain, suppress(OSError), wrapped(plain, context) as connection:
            connection.recv(65_536)
            behave(connection)
            connection.shutdown(socket.SHUT_WR)

    def accept():
        while not over.is_set():
            with suppress(TimeoutError):
                connection, _ = listener.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield f"{'http' if context is None else 'https'}://127.0.0.1:{listener.getsockname()[1]}"
    over.set()
    thread.join()
    listener.close()


def wrapped(plain, context):
    return plain if context is None else context.wrap_socket(plain, server_side=True)


def refused():
    """A URL where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def certified():
    """A TLS context for 127.0.0.1, and a client's context that trusts it."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client
