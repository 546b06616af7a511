# SPDX-License-Identifier: BSD-3-Clause
"""How the report looks: light or dark as the reader's system is, and light on paper; one column
on a telephone. The colours of lines are told apart with every kind of colour blindness, and
each line has its own dashes and mark besides. Nothing is loaded."""

LIGHT = """
  --page: #fdfdfc; --text: #1d2125; --quiet: #5b646d; --line: #d9dde1; --box: #f3f5f6;
  --link: #0b5cad; --mark: #9a4a00; --marked: #fff4e5; --good: #00674c;
  --c0: #0068b0; --c1: #d04f00; --c2: #008a63; --c3: #b0508c; --c4: #3d8fc4; --c5: #9c7200;
  --c6: #6a7178; --c7: #7a4fd0; --c8: #a3261c; --c9: #4d7d1a;
"""
DARK = """
  --page: #16191d; --text: #dfe3e7; --quiet: #98a2ac; --line: #343a41; --box: #1e2328;
  --link: #7db8f5; --mark: #f2b56b; --marked: #2b2417; --good: #5fd3ab;
  --c0: #5eb0f2; --c1: #ff8a4c; --c2: #3ccb9b; --c3: #e597c5; --c4: #93d0f5; --c5: #e6bd4a;
  --c6: #a4adb6; --c7: #b9a0ff; --c8: #f0938a; --c9: #a9d46b;
"""

STYLE = """
:root { color-scheme: light dark; %s}
@media (prefers-color-scheme: dark) { :root { %s} }
@media print { :root { color-scheme: light; %s} }

* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; text-size-adjust: 100%%; -webkit-text-size-adjust: 100%%; }
body {
  margin: 0 auto; max-width: 78rem; padding: 0 1.25rem 3rem;
  background: var(--page); color: var(--text); font: 1rem/1.55 system-ui, sans-serif;
}
a { color: var(--link); text-decoration: none; }
a:hover, a:focus { text-decoration: underline; }
h1, h2, h3, h4, h5 { line-height: 1.25; overflow-wrap: anywhere; }
h1 { margin: .25rem 0; font-size: clamp(1.6rem, 5vw, 2.25rem); letter-spacing: -.01em; }
h1 em { font-style: normal; color: var(--good); }
h2 { margin: 3rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--line);
  font-size: 1.5rem; }
h3 { margin: 2rem 0 .5rem; font-size: 1.15rem; }
p, ul { margin: .6rem 0; max-width: 50rem; }
ul { padding-left: 1.2rem; }
li { margin: .3rem 0; overflow-wrap: anywhere; }
p { overflow-wrap: anywhere; }
code, pre { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .9em; }
pre { margin: .6rem 0; padding: .75rem 1rem; border: 1px solid var(--line); border-radius: .4rem;
  background: var(--box); white-space: pre-wrap; overflow-wrap: anywhere; }

header { padding-top: 1.5rem; }
header .tool { margin: 0; color: var(--quiet); font-weight: 600; }
header .about { margin: .25rem 0; font-size: 1.15rem; }
header .facts { display: flex; flex-wrap: wrap; gap: .1rem 1.25rem; max-width: none;
  color: var(--quiet);
  font-size: .9rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; max-width: none; margin: 1rem 0 0;
  padding: .5rem 0;
  border-top: 1px solid var(--line); list-style: none; }
nav li { margin: 0; }
main > section:first-of-type > h2 { margin-top: 1.25rem; }
footer { margin-top: 3rem; border-top: 1px solid var(--line); color: var(--quiet);
  font-size: .875rem; }

.warnings { margin: 1rem 0; padding: .75rem 1.25rem; border: 1px solid var(--mark);
  border-left-width: .35rem;
  border-radius: .4rem; background: var(--marked); }
.warnings h2 { margin: 0; padding: 0; border: 0; color: var(--mark); font-size: 1.1rem; }
.verdict { font-size: 1.3rem; font-weight: 600; line-height: 1.35; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%%, 17rem), 1fr));
  gap: 1rem;
  margin: 1rem 0; }
.cards article { padding: .9rem 1.1rem; border: 1px solid var(--line); border-radius: .5rem;
  background: var(--box); }
.cards h3, .cards h4, .cards h5 { display: flex; flex-wrap: wrap; justify-content: space-between;
  gap: 0 1rem; margin: 0 0 .4rem;
  font-size: 1rem; font-weight: 600; color: var(--quiet); }
.cards strong { color: var(--good); font-size: 1.15rem; }
.cards p { margin: .45rem 0; font-size: .9rem; color: var(--quiet); }
.cards h3 + p, .cards h4 + p, .cards h5 + p { color: var(--text); font-size: 1rem; }

.targets td, .targets th { white-space: normal; }
.targets tbody th { min-width: 16rem; max-width: 36rem; text-align: left; }
.targets th small { display: block; margin-top: .15rem; color: var(--quiet); font-size: .9em;
  font-weight: 400; overflow-wrap: anywhere; }
.targets td { white-space: nowrap; }
.targets span { padding: .1rem .55rem; border: 1px solid; border-radius: 1rem; font-weight: 600; }
.met { color: var(--good); }
span.missed { color: var(--mark); }
.unknown { color: var(--quiet); }
.wide { grid-template-columns: repeat(auto-fit, minmax(min(100%%, 26rem), 1fr)); }
.cards .missed { border-left: .35rem solid var(--mark); }
.cards .missed strong { color: var(--mark); font-size: 1rem; }
.chapter { margin-top: 4rem; border-top: .2rem solid var(--line); }
.chapter > h2 { margin-top: 0; border: 0; font-size: 1.9rem; }
.chapter > h2 em { font-style: normal; color: var(--good); }
.chapter > .about { margin: 0; font-size: 1.15rem; }
.chapter > section > h3 { margin-top: 2.25rem; padding-top: .6rem;
  border-top: 1px solid var(--line); font-size: 1.35rem; }
h4 { margin: 1.5rem 0 .4rem; font-size: 1.1rem; }

.key { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%%, 21rem), 1fr));
  gap: .6rem 1.5rem;
  margin: .75rem 0; }
.key dt { display: flex; align-items: center; gap: .6rem; font-weight: 600;
  overflow-wrap: anywhere; }
.key dt svg { flex: none; width: 46px; height: 16px; }
.key dd { margin: 0 0 0 calc(46px + .6rem); color: var(--quiet); font-size: .9rem;
  overflow-wrap: anywhere; }

.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%%, 22rem), 1fr));
  gap: 1.25rem 1.5rem; margin: .75rem 0; }
figure { margin: 0; max-width: 32rem; min-width: 0; }
figcaption { margin-bottom: .35rem; overflow-wrap: anywhere; color: var(--quiet);
  font-size: .875rem; }
figcaption strong { color: var(--text); font-size: 1rem; }
figure svg { display: block; width: 100%%; height: auto; font-family: system-ui, sans-serif;
  overflow: visible; }
.quiet { color: var(--quiet); }
.grid { color: var(--line); }
%s

details { margin: .75rem 0; }
summary { padding: .2rem 0; color: var(--link); cursor: pointer; }
.scroll { margin: .75rem 0 1.25rem; overflow-x: auto; max-width: 100%%; }
.scroll:focus-visible, summary:focus-visible, a:focus-visible { outline: 2px solid var(--link);
  outline-offset: 2px; }
.beside { display: flex; flex-wrap: wrap; gap: 0 2rem; }
.beside .scroll { flex: 0 1 auto; }
.beside table { min-width: min(100%%, 17rem); }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
caption { padding-bottom: .35rem; text-align: left; font-weight: 600; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: top;
  white-space: nowrap; }
th:first-child { padding-left: 0; text-align: left; }
thead th { color: var(--quiet); font-weight: 500; vertical-align: bottom; }
tbody th { font-weight: 600; }
tbody tr:hover { background: var(--box); }
td small { display: block; color: var(--quiet); font-size: .8em; }
.pairs th, .pairs td { text-align: left; }
.pairs td { white-space: normal; overflow-wrap: anywhere; }

@media (max-width: 40rem) { .targets tbody th { min-width: 10rem; } }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { display: none; }
  a { color: inherit; }
  .cards { grid-template-columns: 1fr 1fr; }
  .figures { grid-template-columns: 1fr 1fr; }
  figure, article, tr, .warnings, .key div { break-inside: avoid; }
  h2, h3, h4, h5, figcaption, caption, summary { break-after: avoid; }
  details:not([open]) { display: none; } /* what the reader has opened is printed */
  section[id$="numbers"]:not(:has(details[open])) { display: none; }
  summary { color: inherit; list-style: none; }
  .scroll { overflow: visible; }
  th, td { padding: .2rem .4rem; white-space: normal; font-size: 8pt; }
}
""" % (
    LIGHT,
    DARK,
    LIGHT,
    "\n".join(".c%d { color: var(--c%d); }" % (slot, slot) for slot in range(10)),
)
