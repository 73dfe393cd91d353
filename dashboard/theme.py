"""One visual language: the colours of charts and states, and the few styles Streamlit has no word for.

Colours are told apart by colour-blind readers and read on white and on near-black; a state never shows by colour alone.
"""

BLUE = "#2f6fde"
ORANGE = "#d98200"
GREEN = "#12906a"
RED = "#c8451b"
GREY = "#8a8f98"

BASE_COLOUR = GREY
TUNED_COLOUR = BLUE
TRAIN_COLOUR = BLUE
EVAL_COLOUR = ORANGE

SERIES = (
    (BLUE, "circle"),
    (ORANGE, "diamond"),
    (GREEN, "square"),
    ("#a04fb8", "triangle-up"),
    (GREY, "cross"),
    (RED, "x"),
)
"""Lines of one chart: a colour and a symbol each."""
RUN_COLOURS = (BLUE, ORANGE, GREEN, "#ab2c12", "#d1a3da", "#7017f8", "#9cba6f", "#814d8e")
"""One a compared run: for normal sight, protan, deutan and tritan eyes any two are at least 18 apart (CIE 1976)."""
RUN_DASHES = (
    "solid", "9px,5px", "3px,4px", "10px,3px,3px,3px", "18px,6px", "10px,3px,2px,3px,2px,3px", "2px,8px", "16px,4px,6px,4px"
)  # fmt: skip
"""The same runs without colours."""

STYLES = """
<style>
[data-testid="stMainBlockContainer"] { padding-top: 2.6rem; padding-bottom: 3rem; max-width: 1280px; }
[data-testid="stSidebarHeader"] { height: 3rem; }
h1, h2, h3, p, li, .tw { word-break: keep-all; overflow-wrap: anywhere; }
h2 { padding-top: 1.1rem !important; }
/* quiet text that is still read: at least 4.5 to 1 on both backgrounds (WCAG 2.2, 1.4.3) */
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] p { opacity: 1 !important; }
[data-testid="stCaptionContainer"] { color: inherit !important; }
[data-testid="stCaptionContainer"] p { color: color-mix(in srgb, currentColor 74%, transparent); }
[data-testid="stMultiSelect"] span[title], [data-testid="stBaseButton-primary"] p { color: light-dark(#fff, #0f1520) !important; }
.tw { font-size: .93rem; line-height: 1.5; --line: color-mix(in srgb, currentColor 16%, transparent);
      --quiet: color-mix(in srgb, currentColor 68%, transparent); }
.tw small, .tw .quiet { color: var(--quiet); font-size: .84rem; }
.tw a { color: color-mix(in srgb, #2f6fde 72%, currentColor); }
.tw-running { --state: #2f6fde; } .tw-succeeded { --state: #12906a; } .tw-failed { --state: #c8451b; }
.tw-warning { --state: #d98200; } .tw-skipped, .tw-waiting, .tw-neutral { --state: #8a8f98; }

.tw-badge { display: inline-block; padding: .02rem .55rem; border-radius: 1rem; font-size: .84rem; white-space: nowrap;
            border: 1px solid var(--state); background: color-mix(in srgb, var(--state) 14%, transparent); }
.tw-badge i { font-style: normal; color: var(--state); font-weight: 700; margin-right: .2rem; }

.tw-pipe { display: grid; grid-auto-flow: column; grid-auto-columns: minmax(0, 1fr); gap: .95rem; list-style: none;
           margin: .3rem 0 .2rem !important; padding: 0 !important; }
.tw-stage { position: relative; margin: 0 !important; padding: .5rem .55rem .45rem; border-radius: .4rem; min-height: 5.6rem;
            border: 1px solid var(--line); border-top: 3px solid var(--state);
            background: color-mix(in srgb, var(--state) 8%, transparent); }
.tw-stage:not(:last-child)::after { content: "›"; position: absolute; right: -.72rem; top: 1.4rem; opacity: .55; }
.tw-stage b { display: block; font-weight: 650; font-size: .92rem; }
.tw-stage .mark { color: var(--state); font-weight: 700; margin-right: .25rem; }
.tw-stage .result { display: block; font-size: .88rem; }
.tw-stage.tw-waiting, .tw-stage.tw-skipped { border-style: dashed; border-top-style: solid; }
.tw-stage.tw-running .mark { animation: tw-pulse 1.6s ease-in-out infinite; }
@keyframes tw-pulse { 50% { opacity: .25; } }
@media (prefers-reduced-motion: reduce) { .tw-stage .mark { animation: none !important; } }

.tw-figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.2rem, 1fr)); gap: .6rem 1.2rem; margin: .2rem 0 .5rem !important; padding: 0 !important; }
.tw-figures div { border-left: 2px solid var(--line); padding-left: .6rem; min-width: 0; }
.tw-figures dt { color: var(--quiet); font-size: .84rem; font-weight: 400; }
.tw-figures dd { margin: 0 !important; font-size: 1.18rem; font-weight: 650; font-variant-numeric: tabular-nums; line-height: 1.35; }
.tw-figures dd.long { font-size: .95rem; font-weight: 500; }
.tw-figures dd small { display: block; font-weight: 400; }

.tw-rows { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
.tw-rows th, .tw-rows td { text-align: left; padding: .32rem .6rem .32rem 0; border: 0; border-bottom: 1px solid var(--line);
                           vertical-align: top; }
.tw-rows th { font-weight: 400; color: var(--quiet); font-size: .84rem; }
/* a narrow screen scrolls a table sideways instead of breaking its words */
.tw-rows th, .tw-rows td { overflow-wrap: break-word; }
.tw-rows th { white-space: nowrap; }
.tw-error td { overflow-wrap: anywhere; }
.tw-scroll + p { margin-top: .7rem; }
.tw-rows .n { text-align: right; white-space: nowrap; }
.tw .whole { white-space: nowrap; }
.tw-scroll { overflow-x: auto; }
[data-testid="stMarkdownContainer"] table { display: block; overflow-x: auto; }

.tw-slots { display: flex; flex-wrap: wrap; gap: .5rem; margin: .2rem 0; }
.tw-slot { flex: 1 1 9rem; border: 1px solid var(--line); border-left: 4px solid var(--state); border-radius: .4rem;
           padding: .35rem .6rem; min-width: 0; }

.tw-meter { height: .5rem; border-radius: .25rem; background: var(--line); overflow: hidden; margin: .3rem 0; }
.tw-meter i { display: block; height: 100%; background: var(--state); }

.tw-case { border: 1px solid var(--line); border-radius: .4rem; padding: .55rem .75rem; margin: 0 0 .6rem; }
.tw-case .answers { display: grid; grid-template-columns: 1fr 1fr; gap: .8rem; margin-top: .4rem; }
.tw-case .answer { border-left: 3px solid var(--state); padding-left: .6rem; white-space: pre-wrap; min-width: 0; }

.tw-case mark { background: color-mix(in srgb, #d98200 26%, transparent); color: inherit; border-radius: .15rem;
                text-decoration: underline; text-underline-offset: .18em; text-decoration-thickness: 1px; }

.tw-history { display: flex; width: max-content; min-width: 100%; }
.tw-history img { flex: none; margin-right: .6rem; }
.tw-history td { height: 34px; padding: 0 1.2rem 0 0; white-space: nowrap; vertical-align: middle; border: 0; }

.tw-turn { border-left: 3px solid var(--line); padding: .1rem 0 .1rem .75rem; margin: 0 0 .8rem; }
.tw-turn.assistant { border-left-color: #2f6fde; }
.tw-turn b { display: block; font-size: .84rem; font-weight: 600; color: var(--quiet); }
.tw-text { white-space: pre-wrap; max-height: 26rem; overflow-y: auto; }
.tw-passage { border: 1px solid var(--line); border-radius: .4rem; padding: .6rem .75rem; }
.tw-passage mark { background: color-mix(in srgb, #d98200 30%, transparent); color: inherit; padding: 0 .1rem; border-radius: .15rem; }

.tw-runs { list-style: none; margin: 0 !important; padding: 0 !important; display: grid; gap: .15rem 1.4rem;
           grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
.tw-runs li { margin: 0 !important; display: grid; grid-template-columns: 3.1rem 1fr; gap: .6rem; align-items: baseline; }
.tw-runs img { width: 3.1rem; height: .7rem; }
.tw-rows tr.differs th, .tw-rows tr.differs td { background: color-mix(in srgb, #d98200 12%, transparent); }
.tw-rows tr.differs td { font-weight: 600; }
.tw-rows thead th.n { text-align: right; }
.tw-wizard { display: flex; flex-wrap: wrap; gap: .35rem 1.3rem; list-style: none; margin: .2rem 0 .6rem !important; padding: 0 !important; }
.tw-wizard li { margin: 0 !important; color: var(--quiet); padding-bottom: .15rem; border-bottom: 2px solid transparent; }
.tw-wizard li[aria-current] { color: inherit; font-weight: 650; border-bottom-color: var(--state); }
.tw-wizard i { display: inline-grid; place-items: center; width: 1.35rem; height: 1.35rem; margin-right: .4rem; border-radius: 50%;
               font-style: normal; font-size: .8rem; border: 1px solid var(--state);
               background: color-mix(in srgb, var(--state) 14%, transparent); }

.tw-log { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; word-break: normal; font: .82rem/1.5 ui-monospace, monospace; }
.tw-log mark { background: color-mix(in srgb, #d98200 45%, transparent); color: inherit; border-radius: .15rem; }

.tw-steps { margin: .3rem 0 0; padding-left: 1.2rem; }

@media (max-width: 640px) {
  [data-testid="stMainBlockContainer"] { padding-top: 4rem; }
}
@media (max-width: 900px) {
  .tw-pipe { grid-auto-flow: row; grid-auto-columns: auto; grid-template-columns: 1fr; gap: .3rem; }
  .tw-stage { display: grid; grid-template-columns: 6.2rem 1fr auto; gap: .6rem; align-items: baseline; min-height: 0;
              border-top: 1px solid var(--line); border-left: 3px solid var(--state); padding: .3rem .6rem; }
  .tw-stage:not(:last-child)::after { content: none; }
  .tw-case .answers { grid-template-columns: 1fr; }
}
</style>
"""
