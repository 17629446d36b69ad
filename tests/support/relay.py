"""A mail relay: Debian's aiosmtpd in a thread, which answers as it is told and keeps what it took."""

import asyncio
import threading

from aiosmtpd.smtp import SMTP


class Relay:
    """rcpt[address] and data are lists of replies, used up one by one; "" or none left: it takes the mail."""

    def __init__(self):
        self.mails, self.rcpt, self.data = [], {}, []
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.run)
        self.ready = threading.Event()
        self.thread.start()
        assert self.ready.wait(30)

    def run(self):
        asyncio.set_event_loop(self.loop)
        make = lambda: SMTP(self, hostname="relay.test", enable_SMTPUTF8=True, loop=self.loop)  # noqa: E731
        self.server = self.loop.run_until_complete(self.loop.create_server(make, "127.0.0.1", 0))
        self.port = self.server.sockets[0].getsockname()[1]
        self.ready.set()
        self.loop.run_forever()

    @property
    def url(self):
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_RCPT(self, server, session, envelope, address, options):
        told = self.rcpt.get(address, [])
        reply = told.pop(0) if told else ""
        if not reply:
            envelope.rcpt_tos.append(address)
        return reply or "250 OK"

    async def handle_DATA(self, server, session, envelope):
        reply = self.data.pop(0) if self.data else ""
        if not reply:
            self.mails.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.content))
        return reply or "250 taken"

    def close(self):
        async def stop():
            self.server.close()
            await self.server.wait_closed()
            rest = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)
            self.loop.stop()
        asyncio.run_coroutine_threadsafe(stop(), self.loop)
        self.thread.join()
        self.loop.close()
