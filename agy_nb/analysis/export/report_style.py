"""Colours and style sheet of the report."""

from __future__ import annotations

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C8C8C")
"""One per model, for colour-blind readers; they can be read on white and on black."""

STYLE = """
:root{color-scheme:light dark;
--ink:#1b1f24;--soft:#59636e;--line:#d5dae0;--page:#fff;--card:#f5f7f9}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#9aa4ae;--line:#353c44;--page:#14171a;
--card:#1e2329}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,"Segoe UI",sans-serif}
main{max-width:60rem;margin:0 auto;padding:1.5rem}
h1{font-size:1.7rem;margin:0;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2rem 0 .6rem;border-bottom:1px solid var(--line);padding-bottom:.2rem}
h3{font-size:1rem;margin:1.2rem 0 .4rem}
.note{color:var(--soft);margin:.2rem 0 .6rem}
.cards{display:flex;flex-wrap:wrap;gap:.7rem;margin:0}
.cards div{flex:1 1 auto;min-width:8.5rem;background:var(--card);
border:1px solid var(--line);border-radius:8px;padding:.6rem .9rem}
.cards dt{color:var(--soft);font-size:.85rem}
.cards dd{margin:0;font-size:1.35rem;font-weight:600;white-space:nowrap}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th{text-align:left;color:var(--soft);font-weight:600}
th,td{padding:.3rem .9rem .3rem 0;border-bottom:1px solid var(--line);overflow-wrap:anywhere;
vertical-align:top}
td:first-child{overflow-wrap:break-word;min-width:9rem}
.n{text-align:right;white-space:nowrap;padding-right:.5rem}
.chart{width:100%;height:auto}
.chart text{fill:var(--soft);font-size:12px}
.chart .end{text-anchor:end}.chart .mid{text-anchor:middle}
.chart .grid{stroke:var(--line)}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;padding:0;margin:.3rem 0 1rem}
.legend li{overflow-wrap:anywhere}
.legend svg{width:.8em;height:.8em;margin-right:.4em}
summary{cursor:pointer;color:var(--soft)}
@media print{body{background:#fff;color:#000;font-size:11px}main{max-width:none;padding:0}
:root{--ink:#000;--soft:#444;--line:#bbb;--card:#fff}section{break-inside:avoid-page}
tr{break-inside:avoid}rect{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""
