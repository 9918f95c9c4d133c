"""The healthcheck of an image: ends with 0 when the service is ready. Asked every few seconds in every container, so it loads next to
nothing: with `-I -S` a third of the time that `urllib` takes.
"""

import os
import socket
import sys

if __name__ == "__main__":
    with socket.create_connection(("127.0.0.1", int(os.environ["BALLAST_HTTP_PORT"])), 4) as asked:
        asked.sendall(b"GET /health/ready HTTP/1.0\r\nHost: localhost\r\n\r\n")
        sys.exit(b" 200 " not in asked.recv(64))
