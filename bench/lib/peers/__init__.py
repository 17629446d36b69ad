"""Who is compared. Each peer knows how to fill its queue, start its workers, and say how much is left.

A peer that cannot be measured says why in absent(); everything that goes wrong later is an exception, which the rounds turn
into an n/a row. `share` is its part of the number of jobs that ours gets, so that a slow peer's run takes no longer than ours.
"""


class Peer:
    name, share = "", 1.0

    def __init__(self, bed, **options):
        self.bed, self.options = bed, options

    def absent(self):
        """Why it cannot take part, or None."""
        return None

    def jobs(self, n):
        return max(200, int(n * self.share))

    def fill(self, n):
        """Puts n jobs on its empty queue in bulk; gives the seconds that it took, by its own clock."""
        raise NotImplementedError

    def start_workers(self, **more):
        """Gives their processes, ready to take jobs."""
        raise NotImplementedError

    def left(self):
        """Jobs that have not ended yet."""
        raise NotImplementedError


def took_s(text):
    line = next(x for x in text.splitlines() if x.startswith("took_us "))
    return int(line.split()[1]) / 1e6
