/** Colours and layout of a report, light and dark by the reader's preference. Everything is inside `.octet-report`. */
export const reportStyle = `
.octet-report { --ink: #1b1f24; --quiet: #5c6675; --page: #ffffff; --panel: #f5f7fa; --line: #d9dee6; --accent: #1f6feb;
  --none: #eceff3; --device: #cfe4ff; --host: #ffd9b0; --refused: #ffc9c9; --float: #d2691e; --integer: #1f6feb;
  color: var(--ink); background: var(--page); font: 14px/1.45 system-ui, sans-serif; color-scheme: light; }
@media (prefers-color-scheme: dark) {
  .octet-report { --ink: #e6e9ee; --quiet: #9aa4b2; --page: #14171c; --panel: #1c2128; --line: #343c47; --accent: #6cb0ff;
    --none: #2a313a; --device: #1d4a7d; --host: #7d4a12; --refused: #8a2b2b; --float: #ffa657; --integer: #6cb0ff; color-scheme: dark; }
}
.octet-report * { box-sizing: border-box; }
.octet-report h1 { font-size: 22px; margin: 0 0 4px; }
.octet-report h2 { font-size: 16px; margin: 0 0 8px; }
.octet-report h3 { font-size: 13px; margin: 14px 0 4px; color: var(--quiet); font-weight: 600; }
.octet-report p { margin: 0 0 6px; }
.octet-report .quiet { color: var(--quiet); }
.octet-report header { padding: 20px 24px 12px; }
.octet-report .figures { display: flex; flex-wrap: wrap; gap: 8px 28px; margin: 12px 0 0; }
.octet-report .figures div { min-width: 90px; }
.octet-report .figures strong { display: block; font-size: 18px; font-weight: 600; }
.octet-report .bar { display: flex; flex-wrap: wrap; gap: 12px; align-items: center; padding: 8px 24px; border-block: 1px solid var(--line); background: var(--panel); }
.octet-report select, .octet-report button, .octet-report input { font: inherit; color: inherit; background: var(--page); border: 1px solid var(--line); border-radius: 6px; padding: 3px 8px; }
.octet-report .legend { display: flex; flex-wrap: wrap; gap: 10px; margin-left: auto; }
.octet-report .legend span::before { content: ''; display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 5px; vertical-align: -1px; background: var(--swatch); border: 1px solid var(--line); }
.octet-report .body { display: grid; grid-template-columns: minmax(0, 1fr) 380px; }
.octet-report .graph { height: 72vh; min-height: 380px; overflow: auto; padding: 12px; }
.octet-report .graph svg { display: block; margin: 0 auto; height: auto; }
.octet-report .graph svg text { fill: var(--ink); }
.octet-report .graph g.edge path { stroke: var(--quiet); }
.octet-report .graph g.edge polygon { stroke: var(--quiet); fill: var(--quiet); }
.octet-report .graph g.node > path, .octet-report .graph g.node > polygon { stroke: var(--quiet); fill: var(--none); }
.octet-report .graph g.node.device > path { fill: var(--device); }
.octet-report .graph g.node.host > path { fill: var(--host); }
.octet-report .graph g.node.refused > path { fill: var(--refused); }
.octet-report .graph g.node.input > path { fill: var(--page); }
.octet-report .graph g.node { cursor: pointer; }
.octet-report .graph g.node:focus { outline: none; }
.octet-report .graph g.node.chosen > path, .octet-report .graph g.node:focus-visible > path { stroke: var(--accent); stroke-width: 3; }
.octet-report aside { border-left: 1px solid var(--line); padding: 16px; height: 72vh; min-height: 380px; overflow: auto; overflow-wrap: anywhere; }
.octet-report dl { display: grid; grid-template-columns: auto 1fr; gap: 2px 12px; margin: 0; }
.octet-report dt { color: var(--quiet); }
.octet-report dd { margin: 0; }
.octet-report .histogram { width: 100%; height: 110px; display: block; background: var(--panel); border-radius: 6px; }
.octet-report .histogram .float { fill: var(--float); opacity: 0.55; }
.octet-report .histogram .integer { fill: var(--integer); opacity: 0.6; }
.octet-report .histogram line { stroke: var(--quiet); stroke-dasharray: 3 3; }
.octet-report pre { margin: 6px 0; padding: 10px; max-height: 340px; overflow: auto; background: var(--panel); border: 1px solid var(--line); border-radius: 6px; font: 12px/1.4 ui-monospace, monospace; }
.octet-report details { margin-top: 12px; }
.octet-report summary { cursor: pointer; color: var(--accent); }
.octet-report .pictures { display: flex; flex-wrap: wrap; gap: 8px; }
.octet-report figure { margin: 0; font-size: 12px; color: var(--quiet); }
.octet-report figure img { display: block; height: 64px; image-rendering: pixelated; border-radius: 4px; }
.octet-report .back { position: sticky; left: 0; top: 0; cursor: pointer; }
.octet-report section dl { display: inline-grid; }
.octet-report .table { padding: 16px 24px 32px; overflow-x: auto; }
.octet-report table { border-collapse: collapse; width: 100%; font-size: 13px; }
.octet-report th { text-align: left; white-space: nowrap; border-bottom: 1px solid var(--line); padding: 0; }
.octet-report th button { border: 0; background: none; padding: 6px 10px 6px 0; font-weight: 600; cursor: pointer; }
.octet-report td { padding: 4px 10px 4px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
.octet-report .number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.octet-report tbody tr { cursor: pointer; }
.octet-report tbody tr.chosen { background: var(--panel); box-shadow: inset 3px 0 var(--accent); }
.octet-report tbody tr:hover { background: var(--panel); }
@media (max-width: 860px) { .octet-report .body { grid-template-columns: minmax(0, 1fr); } .octet-report aside { border-left: 0; border-top: 1px solid var(--line); height: auto; min-height: 0; } }
@media print { .octet-report .graph, .octet-report aside { height: auto; overflow: visible; } }
`;
