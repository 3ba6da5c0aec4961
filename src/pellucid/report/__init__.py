"""The report of a run: one self-contained HTML page that any browser opens, without a network or a server.

summary.py   RunSummary: what the page says, as plain values
page.py      write_report: its sections               document.py  any page that is one file
drawing.py   panels to HTML by their type            charts.py   lines and bars as SVG
history.py   rows of a training to curves            tables.py   tables that stay short
markup.py    elements, everything escaped            numerals.py numbers for readers
report.css   the looks                               report.js   readouts under the pointer
"""

from pellucid.report.page import write_report
from pellucid.report.summary import DataSummary, Figure, RunSummary

__all__ = ["DataSummary", "Figure", "RunSummary", "write_report"]
