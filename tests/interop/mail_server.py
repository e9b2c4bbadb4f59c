"""A mail server that fails as the recipient's name says; aiosmtpd speaks the protocol.

`FAULT-TIMES.ANY@corp.example` meets FAULT the first TIMES times, and success afterwards:

later    451 at RCPT              full     452 after the letter
refused  550 at RCPT              spam     554 after the letter
vanish   the connection is cut    lost     the connection is cut after the letter,
         at RCPT                           which is there, and its answer never comes

Each letter that was given is printed as a JSON line, with what became of it.
"""

import argparse
import asyncio
import json
import ssl
from email import message_from_bytes, policy

from aiosmtpd.smtp import SMTP, AuthResult

AT_RCPT = {"later": "451 4.7.1 Greylisted", "refused": "550 5.1.1 No such user here"}
AFTER_LETTER = {"full": "452 4.3.1 No room", "spam": "554 5.7.1 Not wanted"}


def tell(**line):
    print(json.dumps(line), flush=True)


class Handler:
    def __init__(self, think_s):
        self.think_s = think_s
        self.met = {}

    def fault(self, address, kinds):
        """The fault that is due at this address, if it is one of these kinds."""
        kind, _, times = address.split(".")[0].partition("-")
        if kind not in kinds or not times.isdecimal():
            return None
        met = self.met.get(address, 0)
        self.met[address] = met + 1
        return kind if met < int(times) else None

    async def handle_RCPT(self, server, session, envelope, address, options):
        kind = self.fault(address, ["later", "refused", "vanish"])
        if kind is not None:
            tell(event="refused", to=address, fault=kind)
        if kind == "vanish":
            server.transport.abort()
            return "421 Gone"
        if kind is not None:
            return AT_RCPT[kind]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        letter = message_from_bytes(envelope.original_content, policy=policy.default)
        text = letter.get_body(preferencelist=("plain",)).get_content().strip()
        [address] = envelope.rcpt_tos
        kind = self.fault(address, ["full", "spam", "lost"])
        tell(
            event="letter",
            to=address,
            fault=kind,
            subject=str(letter["Subject"]),
            text=text,
            id=str(letter["Message-ID"]),
            tls=session.ssl is not None or server.wrapped,
            user=session.auth_data,
        )
        await asyncio.sleep(self.think_s)
        if kind == "lost":
            server.transport.abort()
            return "421 Gone"
        return AFTER_LETTER.get(kind, "250 OK")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tls", choices=["off", "starttls", "wrapped"], default="off")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default="")
    parser.add_argument("--think-ms", type=int, default=0)
    given = parser.parse_args()

    context = None
    if given.tls != "off":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(given.certificate, given.key)
    wrapped = given.tls == "wrapped"

    def authenticate(server, session, envelope, mechanism, data):
        right = (given.user.encode(), given.password.encode()) == (data.login, data.password)
        tell(event="login", mechanism=mechanism, right=right)
        return AuthResult(success=right, handled=False, auth_data=data.login.decode())

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    handler = Handler(given.think_ms / 1000)

    def serve():
        server = SMTP(
            handler,
            hostname="mail.test",
            tls_context=None if wrapped else context,
            require_starttls=given.tls == "starttls",
            authenticator=authenticate,
            auth_required=bool(given.user),
            # Of a connection that was wrapped from its first byte, it does not know.
            auth_require_tls=given.tls == "starttls",
            loop=loop,
        )
        server.wrapped = wrapped
        return server

    tls = context if wrapped else None
    loop.run_until_complete(loop.create_server(serve, "127.0.0.1", given.port, ssl=tls))
    tell(event="listening")
    loop.run_forever()


main()
