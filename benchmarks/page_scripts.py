"""Scripts that a browser runs on the dashboard's pages: is it ready, what does it hold, press this."""

from __future__ import annotations

# Finds the map inside the component's shadow root; `drawn` is what it says it has drawn.
FIND = """
const walk = (r) => { for (const e of r.querySelectorAll('*')) {
  if (e.classList && e.classList.contains('lf') && e.dataset.drawn) return e;
  if (e.shadowRoot) { const x = walk(e.shadowRoot); if (x) return x; } } return null; };
const map = walk(document);
"""
# Reading a pixel back waits until everything is drawn.
DRAWN = (
    FIND
    + """
if (!map || !map.dataset.drawn.endsWith(arguments[0])) return false;
const gl = map.querySelector('canvas.points').getContext('webgl2');
gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
return true;
"""
)
PLACE = (
    FIND
    + "const b = map.querySelector('canvas.top').getBoundingClientRect(); return [b.left, b.top, b.width, b.height];"
)
TEXT = "return document.body.innerText.includes(arguments[0]);"
ALL_TEXT = "return document.body.innerText;"
PICTURES = """
return document.body.innerText.includes(arguments[0]) &&
  [...document.querySelectorAll('[data-testid=stHtml] img')].filter((i) => i.complete).length >= arguments[1];
"""
WATCH = (
    FIND
    + """
let asked = 0;
window.addEventListener('lf-face-wanted', () => { asked = asked || performance.now(); });
window.addEventListener('lf-face-known', () => { window.lfCard = window.lfCard || performance.now() - asked; });
"""
)
CARD = FIND + "const c = map && map.querySelector('.card img'); return Boolean(c && c.complete);"
PRESS = FIND + "[...map.querySelectorAll('button')].find((b) => b.textContent === arguments[0]).click();"
CLICK = "document.querySelector('.st-key-' + arguments[0] + ' button').click();"
HAS_BUTTON = "return Boolean(document.querySelector('.st-key-' + arguments[0] + ' button'));"
FOCUS = """
const i = document.querySelector('.st-key-' + arguments[0] + ' input');
i.focus(); i.scrollIntoView({block: 'center'});
"""
CHOOSE_VIEW = """
[...document.querySelectorAll('.st-key-selection_view button')]
  .find((b) => b.innerText.trim() === arguments[0]).click();
"""
SUBMIT = "document.querySelector('[data-testid=stFormSubmitButton] button').click();"
# Streamlit has stopped running the page, and nothing is still a grey block or being fetched.
READY = """
const app = document.querySelector('[data-testid=stApp]');
return Boolean(app) && app.getAttribute('data-test-script-state') === 'notRunning'
  && document.querySelector('[data-testid=stMain] h1') !== null
  && document.querySelector('[data-testid=stSkeleton]') === null;
"""
# What a page must not show: an exception's box, a traceback, an alert of an error.
FAULTS = """
const out = [...document.querySelectorAll('[data-testid=stException]')].map((e) => e.innerText);
const text = document.body.innerText;
if (text.includes('Traceback')) out.push(text.slice(text.indexOf('Traceback')));
return out.map((t) => t.slice(0, 600));
"""
# Pixels that stick out of the page to the right, and how long the page is.
EXTENT = """
const main = document.querySelector('[data-testid=stMain]');
return [main.scrollWidth - main.clientWidth, main.scrollHeight];
"""
# The element with the focus, through shadow roots; whether it is the map.
ON_MAP = """
let e = document.activeElement;
while (e && e.shadowRoot && e.shadowRoot.activeElement) e = e.shadowRoot.activeElement;
return Boolean(e) && e.tagName === 'CANVAS' && e.classList.contains('top');
"""
VIEW = FIND + "const v = map.parentNode.lfPointMap.view; return [v.x, v.y, v.zoom, v.turn || 0, v.tilt || 0];"
OVER = FIND + "return map.parentNode.lfPointMap.over;"
LEGEND = FIND + "return [...map.querySelectorAll('.legend button span.name')].map((s) => s.textContent);"
PRESS_LEGEND = FIND + "map.querySelectorAll('.legend button')[arguments[0]].click();"
N_DATA_PICTURES = "return [...document.querySelectorAll('img')].filter((i) => i.src.startsWith('data:image')).length;"
