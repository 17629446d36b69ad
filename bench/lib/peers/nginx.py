"""nginx with a bare `return 202`: what a good server does for a request when there is nothing behind it."""

import shutil
from pathlib import Path

from lib import httpload
from lib.peers import Peer
from stack import wait_until

CONF = Path(__file__).resolve().parent.parent.parent / "peers/nginx/nginx.conf"


class Nginx(Peer):
    name = "nginx"

    @staticmethod
    def program():
        return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

    def absent(self):
        return None if self.program() else "nginx is not installed: scripts/deps bench"

    def start(self):
        """Gives its URL and its process."""
        port = httpload.free_port()
        conf = self.bed.dir / "nginx.conf"
        conf.write_text(CONF.read_text().replace("@DIR@", str(self.bed.dir)).replace("@PORT@", str(port)))
        url = f"http://127.0.0.1:{port}"
        p = self.bed.children.start("nginx", [self.program(), "-c", str(conf)])

        def answers():
            try:
                return httpload.post(url, b"{}")[0] == 202
            except OSError:
                return False
        wait_until(answers, "nginx", process=p.popen, log=p.log)
        return url, p
