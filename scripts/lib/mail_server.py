"""A mail server for tests and development. It takes letters for everybody, delivers nothing, and
fails if the recipient's address says so.

    python mail_server.py FOLDER [PORT]

Each letter becomes a file FOLDER/<recipient>/<number>.eml. A JSON file beside it has the letter as
a mail reader shows it. The first word of the recipient's address, up to the first dot, plans a
fault:

    later.     451 the first time
    no.        550
    relay.     554 5.7.1, as for a sender who may not send from here
    hangup.    the first time, the connection ends where the recipient is named
    busy.      452 after the letter, the first time
    spam.      554 after the letter, quoting its text
    cut.       the first time, the letter is kept and the connection ends without an answer

A sender whose address begins with `refused.` gets 553. Signing in is optional; the password has to
begin with `right`. A second port has TLS with a self-signed certificate.
"""

import asyncio
import collections
import email
import email.policy
import json
import pathlib
import signal
import ssl
import sys
import urllib.parse

import aiosmtpd.tests.certs
from aiosmtpd.smtp import SMTP, AuthResult


class Letters:
    """Takes letters, and fails where it is told to."""

    def __init__(self, folder):
        self.folder = folder
        self.seen = collections.Counter()

    def is_first(self, address):
        self.seen[address] += 1
        return self.seen[address] == 1

    async def handle_MAIL(self, server, session, envelope, address, options):
        if address.startswith("refused."):
            return f"553 5.1.8 <{address}>: nobody of that name may send"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        fault = address.split(".")[0]
        if fault == "later" and self.is_first(address):
            return f"451 4.2.0 <{address}>: greylisted, come again"
        if fault == "no":
            return f"550 5.1.1 <{address}>: no such user"
        if fault == "relay":
            return f"554 5.7.1 <{address}>: relay access denied"
        if fault == "hangup" and self.is_first(address):
            server.transport.abort()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        address = envelope.rcpt_tos[0]
        fault = address.split(".")[0]
        if fault == "spam":
            return "554 5.7.1 refused: " + " ".join(read(envelope.content)["plain"].split())[:400]
        if fault == "busy" and self.is_first(address):
            return "452 4.3.1 disk full"
        for recipient in envelope.rcpt_tos:
            self.keep(recipient, envelope.content)
        if fault == "cut" and self.is_first(address):
            server.transport.abort()
        return "250 2.0.0 taken"

    def keep(self, recipient, content):
        folder = self.folder / urllib.parse.quote(recipient, safe="@+")
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{sum(1 for _ in folder.glob('*.eml')):06}"
        (folder / f"{name}.eml").write_bytes(content)
        new = folder / "new"
        new.write_text(json.dumps(read(content)))
        new.rename(folder / f"{name}.json")


def read(content):
    letter = email.message_from_bytes(content, policy=email.policy.default)
    bodies = {sort: letter.get_body((sort,)) for sort in ("plain", "html")}
    return {
        "headers": {name.lower(): letter.get_all(name) for name in letter.keys()},
        **{sort: body and body.get_content() for sort, body in bodies.items()},
    }


def sign_in(server, session, envelope, mechanism, login):
    return AuthResult(success=login.password.startswith(b"right"), handled=False)


async def serve(folder, port):
    loop = asyncio.get_running_loop()
    letters = Letters(folder)

    def session():
        return SMTP(
            letters, hostname="mail.test", enable_SMTPUTF8=True, authenticator=sign_in, auth_require_tls=False, loop=loop
        )

    certificates = pathlib.Path(aiosmtpd.tests.certs.__file__).parent
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates / "server.crt", certificates / "server.key")
    try:
        plain = await loop.create_server(session, "127.0.0.1", port)
    except OSError:
        plain = await loop.create_server(session, "127.0.0.1", 0)
    encrypted = await loop.create_server(session, "127.0.0.1", 0, ssl=tls)
    ports = [server.sockets[0].getsockname()[1] for server in (plain, encrypted)]
    print("mail server listening on smtp://127.0.0.1:%d and smtps://127.0.0.1:%d" % tuple(ports), flush=True)
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(serve(pathlib.Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0))
