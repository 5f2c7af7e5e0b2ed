"""The page's style sheet."""
from systems import COLOURS

FONT = 'system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif'
LIGHT = "".join(f"--{name}:{light};" for name, (_, light, _) in COLOURS.items())
DARK = ";".join(f"--{name}:{dark}" for name, (_, _, dark) in COLOURS.items())

# The colours alone, also for plots in files of their own.
COLOUR_SHEET = f"""
:root{{{LIGHT}--font:{FONT}}}
@media(prefers-color-scheme:dark){{:root{{{DARK}}}}}
"""

STYLE = COLOUR_SHEET + """
:root{color-scheme:light dark}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 var(--font);-webkit-text-size-adjust:100%}
main{max-width:1120px;margin:0 auto;padding:40px 16px 80px}
.kicker{color:var(--soft);font-size:14px;margin:0 0 10px}
h1{font-size:clamp(25px,4.2vw,42px);line-height:1.18;letter-spacing:-.02em;font-weight:680;margin:0 0 28px;max-width:27em;text-wrap:balance}
h2{font-size:25px;letter-spacing:-.01em;line-height:1.25;margin:72px 0 8px}
h3{font-size:16px;line-height:1.35;margin:0 0 2px}
p{max-width:44em;margin:0 0 12px}
.soft,figcaption,dd{color:var(--soft)}
a{color:var(--ours)}
code{font:.92em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(158px,1fr));gap:12px;margin:0 0 16px}
.tile{background:var(--card);border-radius:10px;padding:14px 16px}
.tile b{display:block;font-size:27px;line-height:1.2;letter-spacing:-.02em;color:var(--ours);font-variant-numeric:tabular-nums}
.tile span{font-size:13.5px;line-height:1.4;color:var(--soft);display:block;margin-top:4px}
.warn{border-left:4px solid var(--peer);background:var(--card);padding:12px 16px;border-radius:0 8px 8px 0;margin:20px 0;max-width:46em}
nav{display:flex;flex-wrap:wrap;gap:4px 18px;font-size:14px;margin:24px 0 0}
.key{display:flex;flex-wrap:wrap;gap:4px 20px;font-size:14px;color:var(--soft);margin:10px 0 4px}
.key i{display:inline-block;width:18px;border-top:3px solid;vertical-align:middle;margin-right:7px}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:36px 48px;margin:22px 0}
figure{margin:0;min-width:0}
figure svg{display:block;width:100%;max-width:540px;height:auto;margin-top:10px;overflow:visible}
figcaption{font-size:14px;line-height:1.5;max-width:36em}
.wide{overflow-x:auto;margin:10px 0 20px;-webkit-overflow-scrolling:touch}
table{border-collapse:collapse;font-size:14px;line-height:1.4;font-variant-numeric:tabular-nums;width:100%}
th,td{padding:5px 12px 5px 0;text-align:left;border-bottom:1px solid var(--grid);vertical-align:baseline}
th{color:var(--soft);font-weight:600}
.n{text-align:right;white-space:nowrap}
tr.ours td:first-child{color:var(--ours);font-weight:650}
tr.peer td:first-child{color:var(--peer)}tr.kernel td:first-child{color:var(--kernel)}tr.limit td{font-style:italic}
tr.first td{border-top:2px solid var(--grid)}
details{border-bottom:1px solid var(--grid)}
summary{cursor:pointer;padding:11px 0;font-weight:600}
dl{display:grid;grid-template-columns:max-content 1fr;gap:6px 22px;margin:12px 0;font-size:15px}
dt{font-weight:600}dd{margin:0;max-width:46em;overflow-wrap:anywhere}
@media(max-width:560px){dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:10px}main{padding-top:24px}h2{margin-top:52px}}
@media print{details>*{display:block}}
"""
