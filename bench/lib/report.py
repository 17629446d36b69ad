"""What a run found: figures and ratios by section, as text while it runs and as Markdown at its end."""

from lib import stats


def number(value):
    """Three figures that count, thousands apart."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def range_of(s, unit=""):
    text = number(s.median) + unit
    return text if s.n == 1 else f"{text} ({number(s.low)} .. {number(s.high)})"


class Aim:
    """A figure that DESIGN asks for: at least (or at most) so much."""

    def __init__(self, value, at_most=False, unit="×"):
        self.value, self.at_most, self.unit = value, at_most, unit

    def __str__(self):
        return f"{'<=' if self.at_most else '>='} {self.value:g} {self.unit}".rstrip()

    def verdict(self, value):
        met = value <= self.value if self.at_most else value >= self.value
        return "met" if met else "missed"


class Report:
    def __init__(self, say=print):
        self.say, self.sections = say, []

    def section(self, title, note=""):
        self.sections.append({"title": title, "note": note, "rows": []})
        self.say(f"\n## {title}")
        if note:
            self.say(note)

    def row(self, what, value, aim="", verdict="", note=""):
        self.sections[-1]["rows"].append((what, value, str(aim), verdict, note))
        self.say(f"  {what:<74} {value:>26}  {str(aim):<12} {verdict:<7} {note}".rstrip())

    def figure(self, what, values, unit="", aim=None, note=""):
        """values: one number a round."""
        s = stats.spread(values)
        self.row(what, range_of(s, unit), aim or "", aim.verdict(s.median) if aim else "", note)

    def ratio(self, what, ours, theirs, aim=None, note=""):
        """Both are lists of numbers, or the reason why there are none."""
        for side in (ours, theirs):
            if isinstance(side, Absent):
                self.absent(what, side, aim)
                return
        try:
            s = stats.spread(stats.ratios(ours, theirs))
        except ValueError as e:
            self.absent(what, Absent(e), aim)
            return
        self.row(what, range_of(s, " ×"), aim or "", aim.verdict(s.median) if aim else "", note)

    def outcome(self, what, result, unit="", aim=None, note=""):
        if isinstance(result, Absent):
            self.absent(what, result, aim)
        else:
            self.figure(what, result, unit, aim, note)

    def absent(self, what, why, aim=None):
        self.row(what, f"n/a ({why.reason})", aim or "", "n/a" if aim else "")

    def verdicts(self):
        return [row[3] for s in self.sections for row in s["rows"] if row[3]]

    def markdown(self, title, about):
        lines = [f"# {title}", "", *about, ""]
        told = self.verdicts()
        if told:
            lines += [f"Aims: {told.count('met')} met, {told.count('missed')} missed, {told.count('n/a')} not measured.", ""]
        for s in self.sections:
            lines += [f"## {s['title']}", ""]
            if s["note"]:
                lines += [s["note"], ""]
            lines += ["| what | measured | aim | | |", "|---|---|---|---|---|"]
            lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in s["rows"]]
            lines.append("")
        return "\n".join(lines)


class Absent:
    """In place of a result: why there is none."""

    def __init__(self, reason):
        self.reason = " ".join(str(reason).split())[:160]
