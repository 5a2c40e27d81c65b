//! The style sheet of the HTML report: readable in light, in dark and on paper; no state is told by colour alone, because each
//! is in a table too.

/// All of it.
pub(super) const STYLE: &str = "\
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#57606a;--line:#d0d7de;--land:#e6e8eb;--enf:#1a7f37;--par:#bf8700;\
--mon:#0969da;--off:#cf222e;--unk:#8c959f;--h1:#f5c6b8;--h2:#ec8a70;--h3:#cf4a35;--h4:#8b1a12;--list:#1b1f24}\
@media (prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--dim:#9198a1;--line:#3d444d;--land:#2a313c;--enf:#2ea043;\
--par:#d29922;--mon:#4493f8;--off:#f85149;--unk:#6e7681;--h1:#5a2a25;--h2:#8f3b30;--h3:#cf5540;--h4:#ff8a70;--list:#e6edf3}}\
@media print{:root{--bg:#fff;--fg:#000;--dim:#333;--line:#999;--land:#e6e8eb;--list:#000}section{break-before:page}\
section:first-of-type{break-before:auto}tr,svg,.statement{break-inside:avoid}thead{display:table-header-group}\
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}\
@page{size:A4 landscape;margin:14mm}\
body{background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif;max-width:1200px;margin:0 auto;padding:1.5rem}\
h1{font-size:1.7rem}h2{font-size:1.25rem;border-bottom:1px solid var(--line);padding-bottom:.2rem;margin-top:2rem}\
.statement{border-left:4px solid var(--mon);padding:.6rem 1rem;font-size:1.05rem}\
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.84rem;margin:.8rem 0;width:100%}\
caption{text-align:left;font-weight:600;padding:.3rem 0}th,td{text-align:left;vertical-align:top;padding:.25rem .5rem;\
border-bottom:1px solid var(--line);overflow-wrap:anywhere}th{color:var(--dim)}\
.chart{width:100%;height:auto;display:block;margin:.8rem 0}.lbl{font:600 12px system-ui,sans-serif;fill:#fff}\
.axis{font:12px system-ui,sans-serif;fill:var(--fg)}.bar{fill:var(--off)}\
.s-enforcing{fill:var(--enf)}.s-partial{fill:var(--par)}.s-monitoring{fill:var(--mon)}.s-off{fill:var(--off)}\
.s-unknown{fill:var(--unk)}.map path{stroke:var(--bg);stroke-width:1}.c0{fill:var(--land)}.c1{fill:var(--h1)}.c2{fill:var(--h2)}\
.c3{fill:var(--h3)}.c4{fill:var(--h4)}.map path.l{stroke:var(--list);stroke-width:3}\
.key{display:inline-block;width:.9em;height:.9em;margin:0 .3em 0 1em;vertical-align:-.1em}\
.key.s-enforcing{background:var(--enf)}.key.s-partial{background:var(--par)}.key.s-monitoring{background:var(--mon)}\
.key.s-off{background:var(--off)}.key.s-unknown{background:var(--unk)}";
