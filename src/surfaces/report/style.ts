/**
 * Colours are named by what they mean, in a light and a dark set; text has a contrast of at least 4.5 to 1 on every ground it stands on, lines that mean something 3 to 1,
 * and nothing is told by colour alone. On paper the light set holds.
 */
const light = `--ground:#fff;--card:#f6f7f9;--text:#1b1f24;--quiet:#535b66;--rule:#d4d9e0;--grid:#dfe3e8;
--seen:#14589c;--band:#14589c2e;--threshold:#a63d00;--earlier:#6b5b95;--good:#1a6b35;--bad:#a11b1b;--code:#eceff3`;
const dark = `--ground:#14171b;--card:#1d2127;--text:#e8eaed;--quiet:#aab2bd;--rule:#3a414b;--grid:#2d333b;
--seen:#7fb8f5;--band:#7fb8f533;--threshold:#ffad70;--earlier:#c3b1ea;--good:#7fd69b;--bad:#ff9c92;--code:#2a3038`;

export const style = `:root{color-scheme:light dark;${light}}
@media (prefers-color-scheme:dark){:root{${dark}}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--text);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
main,body>header,body>footer{max-width:72rem;margin:0 auto;padding:0 1.25rem}
body>header{padding-top:1.75rem}
body>footer{margin-top:3rem;padding-top:1rem;padding-bottom:2.5rem;border-top:1px solid var(--rule);color:var(--quiet);font-size:.875rem}
h1{font-size:1.75rem;line-height:1.2;margin:0 0 .25rem}
h2{font-size:1.3rem;line-height:1.25;margin:2.75rem 0 .5rem}
h3{font-size:1rem;margin:0;overflow-wrap:anywhere}
p{margin:.4rem 0;max-width:48rem}
a{color:var(--seen)}
:focus-visible{outline:2px solid var(--seen);outline-offset:2px}
.quiet{color:var(--quiet);font-size:.875rem;font-weight:400}
.lead{font-size:1.15rem;margin:.9rem 0 0}
code{font:.875em/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;background:var(--code);border-radius:4px;padding:.08em .32em;overflow-wrap:break-word;unicode-bidi:isolate;-webkit-box-decoration-break:clone;box-decoration-break:clone}
code.sql{display:inline-block}
nav ul{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;list-style:none;padding:0;margin:1rem 0 0;font-size:.9rem}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,13.5rem),1fr));gap:.75rem;margin:1.1rem 0 0}
.figures div{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:.7rem .9rem;display:flex;flex-direction:column-reverse;justify-content:flex-end}
.figures dt{color:var(--quiet);font-size:.875rem}
.figures dd{margin:0;font-size:1.5rem;font-weight:650;line-height:1.2;font-variant-numeric:tabular-nums}
.todo{padding-left:1.4rem;max-width:56rem}
.todo li{margin:.55rem 0}
.todo .quiet{display:block}
table{border-collapse:collapse;width:100%;margin:.75rem 0 1.25rem;font-size:.9rem;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--quiet);font-size:.875rem;padding-bottom:.4rem}
th,td{text-align:left;vertical-align:top;padding:.45rem .6rem;border-bottom:1px solid var(--rule)}
thead th{border-bottom-width:2px;font-size:.8125rem;color:var(--quiet);font-weight:600}
tbody th{font-weight:400;overflow-wrap:anywhere;min-width:14rem}td{overflow-wrap:anywhere}
th:first-child,td:first-child{padding-left:0}
.number{text-align:right;white-space:nowrap}
.bad{color:var(--bad);font-weight:600}
.good{color:var(--good)}
.bar{display:block;width:7rem;height:12px;margin-top:.2rem}
.bar .all{fill:var(--grid)}.bar .part{fill:var(--seen)}.bar .mark{fill:var(--threshold);stroke:var(--ground);stroke-width:1px;vector-effect:non-scaling-stroke}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,22rem),1fr));gap:1rem;margin:1rem 0}
.card{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:.85rem 1rem;break-inside:avoid;min-width:0}
.card p{font-size:.9rem}
.card details{font-size:.875rem;margin-top:.35rem}
.card details table{font-size:.8125rem}
.card details tbody th{min-width:0}
summary{cursor:pointer;color:var(--quiet)}
.plot{display:block;width:100%;height:auto;margin:.5rem 0}
.plot text{fill:var(--quiet);font:11px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
.plot .end{text-anchor:end}.plot .middle,.plot .now{text-anchor:middle}.plot .now{fill:var(--text);font-weight:600}
.plot .grid{stroke:var(--grid)}.plot .tick{stroke:var(--quiet)}
.plot .present{stroke:var(--quiet);stroke-dasharray:1 3}
.plot .threshold{stroke:var(--threshold);stroke-width:1.5;stroke-dasharray:7 4}
.plot .crossing{stroke:var(--threshold);stroke-width:6;stroke-opacity:.55}
.plot .interval{fill:var(--band)}
.plot .seen{fill:none;stroke:var(--seen);stroke-width:2;stroke-linejoin:round}
.plot circle{fill:var(--seen)}
.plot .forecast{fill:none;stroke:var(--seen);stroke-width:2;stroke-dasharray:4 3}
.plot .earlier{fill:none;stroke:var(--earlier);stroke-width:1.5}
.key{display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;list-style:none;padding:0;margin:.75rem 0 0;font-size:.875rem;color:var(--quiet)}
.key svg{display:inline-block;width:30px;height:12px;margin:0 .45rem 0 0;vertical-align:-1px}
@media (max-width:44rem){
body{font-size:15px}
.figures{grid-template-columns:repeat(2,1fr);gap:.5rem}
thead{position:absolute;clip-path:inset(50%);height:1px;width:1px;overflow:hidden;white-space:nowrap}
table,caption,tbody,tr,th,td{display:block}
tr{border-bottom:1px solid var(--rule);padding:.5rem 0}
th,td{border:0;padding:.12rem 0}
tbody th{font-weight:600}
td[data-title]{display:grid;grid-template-columns:8.5rem minmax(0,1fr);gap:.6rem}
td[data-title]::before{content:attr(data-title);color:var(--quiet);font-size:.8125rem}
.number{text-align:left}
}
@media print{
:root{color-scheme:light;${light}}
body{font-size:11pt}nav,details{display:none}h2{break-after:avoid}tr{break-inside:avoid}
}
`;
