"""A TCP relay that does to its connections what networks do.

    proxy = Proxy("/run/redis.sock")            # or ("127.0.0.1", 5432); listens on 127.0.0.1:proxy.port
    proxy.delay(0.05)                           # each piece that long on its way, each way
    proxy.slice(7)                              # pieces of seven bytes
    proxy.rate(20_000)                          # bytes a second and connection
    proxy.cut()                                 # every connection is reset now
    proxy.cut(after=100, way="down")            # the connection on which the hundredth byte from now passes is reset there
    proxy.hold("up" | "down" | "both")          # a black hole: bytes wait, and arrive late when it heals, as resent packets do
    proxy.drop_reply(b"settle")                 # the next such request is delivered whole, then its connection is reset
    proxy.refuse()                              # new connections are reset
    proxy.heal()                                # all of it is over

"up" is what the client says. Calls take effect before they return. Which requests drop_reply() means: where `resp` is
set the requests are Redis's, and named by the script they run (the relay reads along while scripts are loaded) or by
their command; else the bytes are looked for in what passes. proxy.struck() tells how often something was done to a connection.
"""

import asyncio
import hashlib
import re
import socket
import struct
import threading

WAYS = ("up", "down")
CHUNK = 65536


class RespReader:
    """Cuts what a Redis client says into commands, however the bytes come."""

    def __init__(self):
        self.buffer = b""

    def feed(self, data):
        self.buffer += data
        found = []
        while True:
            command, used = self.one()
            if command is None:
                return found
            self.buffer = self.buffer[used:]
            found.append(command)

    def one(self):
        end = self.buffer.find(b"\r\n")
        if end < 0 or self.buffer[:1] != b"*":
            return None, 0
        words, at = [], end + 2
        for _ in range(int(self.buffer[1:end])):
            end = self.buffer.find(b"\r\n", at)
            if end < 0:
                return None, 0
            size = int(self.buffer[at + 1:end])
            at = end + 2 + size + 2
            if len(self.buffer) < at:
                return None, 0
            words.append(self.buffer[at - 2 - size:at - 2])
        return words, at


class Scripts:
    """Names of scripts by their digest: each of queue/lua begins with a comment that says its name."""

    names = {}

    @classmethod
    def name_of(cls, words):
        if words[0].upper() == b"SCRIPT" and words[1].upper() == b"LOAD":
            title = re.search(rb"^-- ([a-z_]+): ", words[2], re.M)
            if title:
                cls.names[hashlib.sha1(words[2]).hexdigest().encode()] = title[1]
        if words[0].upper() == b"EVALSHA":
            return cls.names.get(words[1].lower(), b"?")
        return words[0].lower()


class Link:
    """One connection through the relay."""

    def __init__(self, client):
        self.client, self.server, self.doomed, self.over = client, None, False, False
        self.requests = RespReader()

    def reset(self):
        """The client gets an RST; what it has said still goes out, then the server sees an end."""
        if self.over:
            return
        self.over = True
        sock = self.client.get_extra_info("socket")
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass  # closed already
        self.client.transport.abort()
        if self.server:
            self.server.close()


class Proxy:
    def __init__(self, upstream, resp=False):
        self.upstream, self.resp = upstream, resp
        self.links, self.strikes = set(), 0
        self.clear()
        self.loop = asyncio.new_event_loop()
        self.changed = asyncio.Event()
        ready = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(ready,), daemon=True)
        self.thread.start()
        assert ready.wait(30), "the relay listens"

    def clear(self):
        self.delay_s, self.piece, self.per_s, self.refusing = 0, 0, 0, False
        self.held, self.budget, self.wanted = set(), {}, []

    # --- control, from the test's thread

    def do(self, act):
        async def wrapped():
            act()
            self.changed.set()
            self.changed = asyncio.Event()
        asyncio.run_coroutine_threadsafe(wrapped(), self.loop).result(30)

    def delay(self, seconds):
        self.do(lambda: setattr(self, "delay_s", seconds))

    def slice(self, size):
        self.do(lambda: setattr(self, "piece", size))

    def rate(self, per_s):
        self.do(lambda: setattr(self, "per_s", per_s))

    def refuse(self):
        self.do(lambda: setattr(self, "refusing", True))

    def hold(self, way="both"):
        self.do(lambda: self.held.update(WAYS if way == "both" else (way,)))

    def cut(self, after=None, way="up"):
        self.do((lambda: self.budget.update({way: after})) if after is not None else self.reset_all)

    def drop_reply(self, request=b"", times=1):
        self.do(lambda: self.wanted.extend([request] * times))

    def heal(self):
        self.do(self.clear)

    def struck(self):
        return self.strikes

    def dropping(self):
        """How many replies are still to be dropped."""
        return len(self.wanted)

    def close(self):
        def stop():
            self.server.close()
            self.reset_all()
            self.loop.call_later(0, self.loop.stop)
        self.loop.call_soon_threadsafe(stop)
        self.thread.join(30)

    # --- the relay's own thread

    def run(self, ready):
        asyncio.set_event_loop(self.loop)
        self.server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0, limit=CHUNK))
        self.port = self.server.sockets[0].getsockname()[1]
        ready.set()
        self.loop.run_forever()
        rest = asyncio.all_tasks(self.loop)
        for task in rest:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
        self.loop.close()

    def reset_all(self):
        for link in list(self.links):
            self.strike(link)

    def strike(self, link):
        if not link.over:
            self.strikes += 1
        link.reset()

    async def reach(self):
        if isinstance(self.upstream, tuple):
            return await asyncio.open_connection(*self.upstream, limit=CHUNK)
        return await asyncio.open_unix_connection(str(self.upstream), limit=CHUNK)

    async def serve(self, reader, writer):
        link = Link(writer)
        self.links.add(link)
        try:
            if self.refusing:
                self.strike(link)
                return
            try:
                server_reader, link.server = await self.reach()
            except OSError:
                link.reset()
                return
            await asyncio.gather(self.pump(link, "up", reader, link.server), self.pump(link, "down", server_reader, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.links.discard(link)
            for one in (writer, link.server):
                if one:
                    one.close()

    async def pump(self, link, way, reader, writer):
        try:
            while not link.over:
                data = await reader.read(CHUNK)
                await self.pass_gate(way)
                if not data or link.over:
                    break
                await self.pass_on(link, way, data, writer)
            if not link.over and writer.can_write_eof():
                writer.write_eof()
        except OSError:
            link.reset()

    async def pass_gate(self, way):
        while way in self.held:
            await self.changed.wait()

    async def pass_on(self, link, way, data, writer):
        if way == "down" and link.doomed:
            self.strike(link)
            return
        meant = way == "up" and self.is_wanted(link, data)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        data, last = self.within_budget(way, data)
        size = self.piece or CHUNK
        for at in range(0, len(data), size):
            piece = data[at:at + size]
            # Together with the last piece's departure, lest its answer come before.
            link.doomed = link.doomed or (meant and at + size >= len(data))
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(len(piece) / self.per_s if self.per_s else 0)
        if last:
            self.strike(link)

    def within_budget(self, way, data):
        """What may still pass, and whether that is the end of the connection."""
        if way not in self.budget:
            return data, False
        left = self.budget[way]
        if len(data) < left:
            self.budget[way] -= len(data)
            return data, False
        del self.budget[way]
        return data[:left], True

    def is_wanted(self, link, data):
        names = [Scripts.name_of(words) for words in link.requests.feed(data)] if self.resp else None
        for wanted in self.wanted:
            if (wanted in names or (not wanted and names)) if self.resp else wanted in data:
                self.wanted.remove(wanted)
                return True
        return False
