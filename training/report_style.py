"""The client report's style sheet: the page's tokens, light and dark, for screen and print. Data only."""

STYLE = """
:root { color-scheme: light dark; --ink:#16181d; --soft:#5a5e66; --paper:#fbfaf8; --card:#ffffff; --line:#e4e1db; --accent:#2f5bea; --good:#1a7f4b; --warn:#9a5b00; --danger:#b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink:#e9e7e2; --soft:#a5a39d; --paper:#15171b; --card:#1d2025; --line:#2e3238; --accent:#8aa6ff; --good:#5fc58d; --warn:#e0a24a; --danger:#ff8a80; } }
* { box-sizing: border-box; margin: 0; }
body { background: var(--paper); color: var(--ink); font: 15px/1.55 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
main { max-width: 920px; margin: 0 auto; padding: 56px 24px 80px; }
h1 { font-size: 40px; line-height: 1.15; font-weight: 650; letter-spacing: -0.02em; }
h2 { font-size: 18px; font-weight: 650; margin-bottom: 12px; }
h3 { font-size: 15px; font-weight: 650; margin-bottom: 4px; }
section { margin-top: 44px; padding-top: 28px; border-top: 1px solid var(--line); }
.eyebrow, .lead, .prompt, figcaption, dt { color: var(--soft); font-size: 13px; }
.lead { margin: -8px 0 16px; }
.say { margin-top: 12px; font-size: 18px; }
code { font: 0.94em ui-monospace, monospace; background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 1px 6px; overflow-wrap: anywhere; }
.verdict { margin-top: 20px; padding: 14px 16px; background: var(--card); border: 1px solid var(--line); border-left: 3px solid var(--good); border-radius: 10px; font-size: 18px; }
.verdict.warn { border-left-color: var(--warn); }
.verdict span { color: var(--soft); font-size: 13px; white-space: nowrap; }
.trio, .duo { display: grid; gap: 12px; margin-bottom: 24px; }
.trio { grid-template-columns: repeat(3, 1fr); }
.duos { display: grid; grid-template-columns: repeat(auto-fit, minmax(250px, 1fr)); gap: 20px; margin-top: 16px; }
.duo { grid-template-columns: 1fr 1fr; }
.trio .prompt, .duo .prompt { grid-column: 1 / -1; }
figure img, .gone div { display: block; width: 100%; height: auto; aspect-ratio: 1; object-fit: contain; background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.gone div { display: grid; place-items: center; color: var(--soft); font-size: 13px; }
figcaption { margin-top: 4px; }
.thumbs { display: grid; grid-template-columns: repeat(auto-fill, minmax(104px, 1fr)); gap: 8px; margin-top: 16px; }
dl { display: grid; grid-template-columns: 140px 1fr; gap: 6px 16px; }
dd { overflow-wrap: anywhere; margin: 0; }
.score { display: grid; grid-template-columns: 150px 140px 1fr; gap: 16px; align-items: center; padding: 10px 0; border-bottom: 1px solid var(--line); }
.score:last-child { border: 0; }
.bar { height: 6px; background: var(--line); border-radius: 3px; overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--accent); }
.swatch { display: inline-block; width: 14px; height: 14px; margin-left: 4px; border-radius: 4px; border: 1px solid var(--line); vertical-align: -2px; }
.findings { list-style: none; padding: 0; display: grid; gap: 8px; }
.findings li { padding: 10px 14px; background: var(--card); border: 1px solid var(--line); border-left: 3px solid var(--line); border-radius: 10px; }
.findings .good { border-left-color: var(--good); } .findings .warn { border-left-color: var(--warn); } .findings .danger { border-left-color: var(--danger); }
span.danger { color: var(--danger); font-weight: 650; }
.apps { display: grid; grid-template-columns: repeat(auto-fit, minmax(260px, 1fr)); gap: 12px; }
.app { padding: 14px 16px; background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
@media (max-width: 640px) { main { padding: 32px 16px 56px; } h1 { font-size: 30px; } .score { grid-template-columns: 1fr; gap: 6px; } dl { grid-template-columns: 1fr; gap: 2px; } dd { margin-bottom: 8px; } .trio { gap: 8px; } }
@media print { section { break-inside: avoid; } body { background: #fff; } }
"""
