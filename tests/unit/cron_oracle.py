"""Says what cron expressions do by another road: looks at every second or minute of a window with zoneinfo.

Prints lines "zone|expression|from|tick tick ..." (Unix seconds) for test_cron_oracle.c. Ticks are those after
`from` and before the window's end, and the window's end is the last word, with a "<".
"""

import calendar
import datetime as dt
import sys
import zoneinfo

UTC = dt.timezone.utc
MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
WEEKDAYS = "SUN MON TUE WED THU FRI SAT".split()


def number(text, names, base):
    return names.index(text.upper()) + base if text.upper() in names else int(text)


def plain(field, low, high, names=()):
    """The set of numbers of a field without L, W and #."""
    found = set()
    for item in field.split(","):
        span, _, step = item.partition("/")
        if span in ("*", "?"):
            first, last = low, high
        else:
            first, _, last = span.partition("-")
            first = number(first, names, low)
            last = number(last, names, low) if last else (high if step else first)
        if names is WEEKDAYS and last == 0 < first:
            last = 7  # MON-SUN
        found |= set(range(first, last + 1, int(step or 1)))
    return found


def nearest(year, month, day):
    last = calendar.monthrange(year, month)[1]
    if day > last:
        return None
    return min((d for d in range(1, last + 1) if dt.date(year, month, d).weekday() < 5), key=lambda d: (abs(d - day), d))


def day_items(date, field):
    last = calendar.monthrange(date.year, date.month)[1]
    for item in field.upper().split(","):
        if item == "LW":
            yield nearest(date.year, date.month, last) == date.day
        elif item.startswith("L"):
            yield date.day == last - int(item[2:] or 0)
        elif item.endswith("W"):
            yield nearest(date.year, date.month, int(item[:-1])) == date.day
        else:
            yield date.day in plain(item, 1, 31)


def weekday_items(date, field):
    last = calendar.monthrange(date.year, date.month)[1]
    today = date.isoweekday() % 7
    for item in field.upper().split(","):
        if item.endswith("L"):
            yield today == number(item[:-1], WEEKDAYS, 0) % 7 and date.day + 7 > last
        elif "#" in item:
            day, _, n = item.partition("#")
            yield today == number(day, WEEKDAYS, 0) % 7 and (date.day - 1) // 7 + 1 == int(n)
        else:
            yield today in {d % 7 for d in plain(item, 0, 6 if item[0] == "*" else 7, WEEKDAYS)}


class Cron:
    def __init__(self, text):
        fields = text.split()
        second, minute, hour, self.day, month, self.weekday = fields if len(fields) == 6 else ["0", *fields]
        self.seconds, self.minutes, self.hours = plain(second, 0, 59), plain(minute, 0, 59), plain(hour, 0, 23)
        self.months = plain(month, 1, 12, MONTHS)
        self.wildcard = minute[0] == "*" or hour[0] == "*"
        self.step = 1 if len(fields) == 6 else 60
        self.dates = {}

    def fits_date(self, date):
        if date not in self.dates:
            day, weekday = any(day_items(date, self.day)), any(weekday_items(date, self.weekday))
            star = self.day[0] in "*?" or self.weekday[0] in "*?"
            self.dates[date] = date.month in self.months and (day and weekday if star else day or weekday)
        return self.dates[date]

    def fits(self, t):
        return t.second in self.seconds and t.minute in self.minutes and t.hour in self.hours and self.fits_date(t.date())


def unix(naive, zone):
    """The first moment at which the clock shows it, or that ends the gap it lies in."""
    at = int(naive.replace(tzinfo=zone, fold=0).timestamp())
    if dt.datetime.fromtimestamp(at, zone).replace(tzinfo=None) == naive:
        return at
    # zoneinfo counts with the offset from before the gap, so `at` lies behind its beginning.
    before = dt.datetime.fromtimestamp(at - 129600, zone).utcoffset()
    low = at - 129600
    high = at
    while high - low > 1:
        middle = (low + high) // 2
        if dt.datetime.fromtimestamp(middle, zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


def ticks(text, zone, start, end):
    cron = Cron(text)
    found = set()
    if cron.wildcard:
        for at in range(start + 1, end):
            if at % cron.step == 0 and cron.fits(dt.datetime.fromtimestamp(at, zone)):
                found.add(at)
    else:
        date = dt.datetime.fromtimestamp(start, zone).date() - dt.timedelta(2)
        stop = dt.datetime.fromtimestamp(end, zone).date() + dt.timedelta(2)
        while date <= stop:
            if cron.fits_date(date):
                for h in cron.hours:
                    for m in cron.minutes:
                        for s in cron.seconds:
                            found.add(unix(dt.datetime(date.year, date.month, date.day, h, m, s), zone))
            date += dt.timedelta(1)
    return sorted(at for at in found if start < at < end)


DAY = 86400
# Each day around a change of the clock, a year's end, a leap day; some beyond the tables of the files.
CHANGES = [
    ("Europe/Berlin", "2026-03-29", 3), ("Europe/Berlin", "2026-10-25", 3), ("Europe/Berlin", "2045-03-26", 3),
    ("Europe/Berlin", "2099-10-25", 3), ("America/New_York", "2026-03-08", 3), ("America/New_York", "2026-11-01", 3),
    ("America/New_York", "2060-11-07", 3), ("Australia/Lord_Howe", "2026-04-05", 3), ("Australia/Lord_Howe", "2026-10-04", 3),
    ("Australia/Lord_Howe", "2050-10-02", 3), ("Asia/Kolkata", "2026-12-31", 3), ("America/Sao_Paulo", "2018-11-04", 3),
    ("Africa/Casablanca", "2026-02-15", 3), ("Asia/Gaza", "2026-10-24", 3), ("Europe/Dublin", "2050-03-27", 3),
    ("America/Nuuk", "2050-03-26", 3), ("Pacific/Apia", "2011-12-30", 4), ("Antarctica/Troll", "2026-03-29", 3), ("UTC", "2028-02-29", 3),
]
EXPRESSIONS = [
    "30 2 * * *", "0,15,30,45 2 * * *", "0 0 * * *", "59 23 * * *", "30 1 * * *", "15 1,2,3 * * *", "*/15 * * * *", "*/20 2 * * *", "30 * * * *",
    "5 */2 * * *", "* 1-2 * * *", "0 3 * * *", "0 30 2 * * *", "10,40 59 1 * * *", "*/30 */15 1-3 * * *", "45 1 29-31 * SUN",
]
# Whole years: days.
DAYS = [
    "0 12 L * ?", "0 12 L-3 * ?", "0 12 LW * ?", "0 12 15W * ?", "0 12 1W * ?", "0 12 31W * ?", "0 12 ? * MON#2", "0 12 ? * 5L", "0 12 ? * FRI#5",
    "0 12 ? * 7L", "0 12 29 2 *", "0 12 13 * FRI", "0 12 */2 * MON", "0 12 * * MON-SUN", "0 12 * JAN,dec SAT", "0 12 31 * *", "0 12 L 2 *", "0 0 1 1 *",
    "0 12 1-7 * */2", "0 12 10/10 * *", "0 12 L,15 * ?", "0 12 15W,LW 4/3 *", "0 12 ? * 1#1,3L,SAT#3",
]


def emit(zone_name, text, start, end):
    zone = zoneinfo.ZoneInfo(zone_name)
    print("|".join([zone_name, text, str(start), " ".join([*map(str, ticks(text, zone, start, end)), f"<{end}"])]))


def main():
    if len(sys.argv) > 1:
        emit(*sys.argv[1:3], *map(int, sys.argv[3:5]))
        return
    for zone_name, day, days in CHANGES:
        middle = int(dt.datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp())
        for text in EXPRESSIONS:
            emit(zone_name, text, middle - DAY - 1234, middle + (days - 1) * DAY)
    for zone_name in ("UTC", "America/New_York", "Asia/Kolkata"):
        for text in DAYS:
            start = int(dt.datetime(2027, 12, 15, tzinfo=UTC).timestamp())
            emit(zone_name, text, start, start + 800 * DAY)


if __name__ == "__main__":
    main()
