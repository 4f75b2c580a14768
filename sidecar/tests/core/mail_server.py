"""A mail server (aiosmtpd) that misbehaves as it is told.

Arguments: folder of certificates, `starttls`, `implicit` or `plain`. Prints its port. What it
takes is a JSON line on standard output: envelope, session and message. Its mood is the last
line of standard input: `take`, or what it does instead.
"""

import asyncio
import base64
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.smtp import AuthResult, SMTP

USER, PASSWORD = b"sekisho", b"correct horse"
MOOD = ["take"]


def authenticate(server, session, envelope, mechanism, data):
    right = (data.login, data.password) == (USER, PASSWORD)
    return AuthResult(success=right, handled=False)


class Handler:
    async def handle_MAIL(self, server, session, envelope, address, options):
        if MOOD[0] == "refuse-sender":
            return "550 5.7.60 client does not have permissions to send as this sender"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if MOOD[0] == "greylist":
            return "451 4.7.1 taro@example.com: greylisted, come back later"
        if MOOD[0] == "refuse" or address.startswith("nobody@"):
            return f"550 5.1.1 {address}: no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if MOOD[0] == "hang-up":
            server.transport.abort()
            return "250 OK"
        if MOOD[0] == "full":
            return "452 4.3.1 insufficient system storage"
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        taken = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None,
            "signed_in": bool(session.authenticated),
            "hello": session.host_name,
            "subject": message["subject"],
            "text": message.get_body(("plain",)).get_content(),
            "message": base64.b64encode(envelope.content).decode(),
        }
        print(json.dumps(taken), flush=True)
        return "250 2.0.0 queued"


async def main():
    certificates, protection = sys.argv[1:3]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{certificates}/server.pem", f"{certificates}/server.key")
    loop = asyncio.get_running_loop()

    def connection():
        return SMTP(
            Handler(),
            hostname="mail.test",
            loop=loop,
            authenticator=authenticate,
            auth_required=protection != "plain",
            # With implicit TLS the whole connection is protected, which aiosmtpd does not see.
            auth_require_tls=protection == "starttls",
            tls_context=context if protection == "starttls" else None,
            require_starttls=protection == "starttls",
        )

    around = context if protection == "implicit" else None
    server = await loop.create_server(connection, "127.0.0.1", 0, ssl=around)
    print(server.sockets[0].getsockname()[1], flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        MOOD[0] = line.strip()
        print(json.dumps({"mood": MOOD[0]}), flush=True)


asyncio.run(main())
