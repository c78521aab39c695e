// A map of many points: WebGL2, no library, nothing fetched. dashboard/point_map.py packs what is read here.
const PALE = 1, MARKED = 2, HIDDEN = 4;
const PICK_PX = 12, CLICK_PX = 4, MAX_CORNERS = 200;
const STEPS_OF_SCALE = 200;

const VERTEX = `#version 300 es
in vec3 at; in uint code; in uint flag;
uniform mat4 matrix; uniform float size; uniform bool flat2d; uniform bool chosen; uniform sampler2D palette;
flat out vec4 colour; flat out int symbol; flat out int marked;
void main() {
  gl_Position = matrix * vec4(at, 1.0);
  vec4 entry = texelFetch(palette, ivec2(int(code), 0), 0);
  bool pale = (flag & ${PALE}u) != 0u;
  bool picked = (flag & ${MARKED}u) != 0u;
  // While some are chosen the others step back; a ring needs room, on small points it would be all there is to see.
  colour = pale ? vec4(0.62, 0.64, 0.67, 0.22) : vec4(entry.rgb, chosen && !picked ? 0.3 : 0.9);
  symbol = pale ? 0 : int(entry.a * 255.0 + 0.5);
  if (flat2d) gl_Position.z = (pale ? 0.8 : picked ? -0.8 : 0.0) * gl_Position.w;
  if ((flag & ${HIDDEN}u) != 0u) gl_Position = vec4(2.0, 2.0, 2.0, 1.0);
  gl_PointSize = size * (picked ? 1.5 : pale ? 0.8 : 1.0) * (symbol > 0 ? 1.25 : 1.0);
  marked = picked && gl_PointSize > 8.0 ? 1 : 0;
}`;

const FRAGMENT = `#version 300 es
precision mediump float;
flat in vec4 colour; flat in int symbol; flat in int marked;
uniform vec3 ink;
out vec4 shown;
float distanceOf(vec2 p, int kind) {  // below 1 inside the symbol
  vec2 a = abs(p);
  if (kind == 1) return a.x + a.y;                                   // diamond
  if (kind == 2) return max(a.x, a.y) / 0.8;                         // square
  if (kind == 3) return max(max(a.x, a.y), min(a.x, a.y) * 2.8);     // cross
  if (kind == 4) { vec2 r = vec2(p.x + p.y, p.x - p.y) * 0.7071; a = abs(r); return max(max(a.x, a.y), min(a.x, a.y) * 2.8); }
  return length(p);
}
void main() {
  float d = distanceOf(gl_PointCoord * 2.0 - 1.0, symbol);
  if (d > 1.0) discard;
  shown = marked == 1 && d > 0.62 ? vec4(ink, 1.0) : colour;
}`;

// ---- 4 x 4 matrices by columns, as WebGL reads them
function multiply(a, b) {
  const out = new Float64Array(16);
  for (let c = 0; c < 4; c++) for (let r = 0; r < 4; r++)
    for (let k = 0; k < 4; k++) out[c * 4 + r] += a[k * 4 + r] * b[c * 4 + k];
  return out;
}

function matrixOf(view, head, aspect) {
  if (head.dims === 2) {
    const s = view.zoom / head.radius, sx = aspect > 1 ? s / aspect : s, sy = aspect > 1 ? s : s * aspect;
    return new Float64Array([sx, 0, 0, 0, 0, sy, 0, 0, 0, 0, 1, 0, -view.x * sx, -view.y * sy, 0, 1]);
  }
  const s = 1 / head.radius, [cx, cy, cz] = head.centre;
  const model = [s, 0, 0, 0, 0, s, 0, 0, 0, 0, s, 0, -cx * s, -cy * s, -cz * s, 1];
  const ca = Math.cos(view.turn), sa = Math.sin(view.turn), ce = Math.cos(view.tilt), se = Math.sin(view.tilt);
  // The eye circles the z axis; right, up and forward are rows of the rotation.
  const right = [-sa, ca, 0], forward = [-ca * ce, -sa * ce, -se], up = [-ca * se, -sa * se, ce];
  const eye = 4.1 / view.zoom;
  const look = [
    right[0], up[0], -forward[0], 0, right[1], up[1], -forward[1], 0, right[2], up[2], -forward[2], 0,
    -view.x, -view.y, -eye, 1];
  const f = 2.1, near = Math.max(0.02, eye - 2.5), far = eye + 2.5;
  const fx = aspect > 1 ? f / aspect : f, fy = aspect > 1 ? f : f * aspect;
  const lens = [fx, 0, 0, 0, 0, fy, 0, 0, 0, 0, (far + near) / (near - far), -1, 0, 0, 2 * far * near / (near - far), 0];
  return multiply(lens, multiply(look, model));
}

function startView(head) {
  return head.dims === 2
    ? { x: head.centre[0], y: head.centre[1], zoom: 0.94 }
    : { x: 0, y: 0, zoom: 1, turn: 0.8, tilt: 0.45 };
}

// ---- the block of bytes
function unpack(bytes) {
  const block = bytes.byteOffset % 4 ? bytes.slice() : bytes;
  const start = block.byteOffset, length = new DataView(block.buffer, start, 4).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(block.subarray(4, 4 + length)));
  let at = 4 + length;
  const xyz = new Float32Array(block.buffer, start + at, head.n * head.dims); at += xyz.byteLength;
  const code = block.subarray(at, at + head.n); at += head.n;
  const flag = block.subarray(at, at + head.n);
  head.centre = head.low.map((l, i) => (l + head.high[i]) / 2);
  head.radius = Math.max(1e-9, ...head.low.map((l, i) => (head.high[i] - l) / 2));
  return { head, xyz, code, flag };
}

function same(a, b) {
  if (a === b) return true;
  if (!a || !b || a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

function rgbOf(text, otherwise) {  // '#rrggbb' or 'rgb(r, g, b)' of a theme's colour
  if (/^#[0-9a-f]{6}/i.test(text)) return rgb(text);
  const found = text.match(/[\d.]+/g);
  return found && found.length >= 3 ? found.slice(0, 3).map(Number) : otherwise;
}

// On a dark page the palette's colours have counterparts; of a scale, deep hues are mixed with white.
function readable(hex, dark, counterparts) {
  const c = rgb((dark && counterparts[hex]) || hex), light = (0.3 * c[0] + 0.59 * c[1] + 0.11 * c[2]) / 255;
  if (!dark || counterparts[hex] || light > 0.42) return c;
  const share = 0.42 - light + 0.12;
  return c.map((v) => Math.round(v + (255 - v) * share));
}

const css = (c) => `rgb(${c[0]},${c[1]},${c[2]})`;

const STYLE = `
  .lf{font:13px var(--st-font,system-ui,sans-serif);color:var(--st-text-color,#1b2330);position:relative;width:100%}
  .lf .bar{display:flex;flex-wrap:wrap;gap:4px;align-items:center;margin:0 0 6px}
  .lf button{font:inherit;color:inherit;background:var(--st-secondary-background-color,#f6f8fa);cursor:pointer;
    border:1px solid var(--st-border-color,#d0d5dc);border-radius:6px;padding:3px 9px}
  .lf button[aria-pressed=true]{background:var(--st-primary-color,#1f4e79);color:#fff;border-color:transparent}
  .lf button:focus-visible,.lf canvas:focus-visible{outline:3px solid var(--st-primary-color,#1f4e79);outline-offset:1px}
  .lf .field{display:flex;gap:10px;align-items:stretch}
  .lf .plane{position:relative;flex:1 1 auto;min-width:0;border:1px solid var(--st-border-color,#d0d5dc);
    border-radius:6px;overflow:hidden}
  .lf canvas{position:absolute;inset:0;width:100%;height:100%;display:block}
  .lf canvas.top{touch-action:none;cursor:grab}
  .lf canvas.top.lasso{cursor:crosshair}
  .lf .legend{flex:0 0 auto;width:176px;overflow:auto}
  .lf .legend .title{font-weight:600;margin:0 0 4px}
  .lf .legend button{display:flex;gap:6px;align-items:center;width:100%;background:none;border:0;padding:2px 4px;text-align:left}
  .lf .legend button:hover{background:var(--st-secondary-background-color,#f6f8fa)}
  .lf .legend span.name{overflow:hidden;text-overflow:ellipsis;white-space:nowrap;flex:1 1 auto}
  .lf .legend span.count{opacity:.7;font-variant-numeric:tabular-nums}
  .lf .legend svg{flex:0 0 12px}
  .lf .ramp{height:12px;border-radius:3px}
  .lf .ends{display:flex;justify-content:space-between;font-variant-numeric:tabular-nums;margin-bottom:6px}
  .lf .card{position:absolute;pointer-events:none;display:none;gap:8px;max-width:320px;padding:6px;border-radius:6px;
    background:var(--st-background-color,#fff);border:1px solid var(--st-border-color,#d0d5dc);
    box-shadow:0 2px 10px rgba(0,0,0,.18);white-space:pre-line;overflow-wrap:anywhere;font-size:12px;line-height:1.4}
  .lf .card img{width:96px;height:96px;border-radius:4px;object-fit:cover;flex:none}
  .lf .note{opacity:.75}
  @media (max-width:900px){.lf .field{flex-direction:column}.lf .legend{width:auto;max-height:130px}}
`;

class PointMap {
  constructor(parent) {
    this.root = document.createElement("div");
    this.root.className = "lf";
    this.root.innerHTML = `<style>${STYLE}</style><div class="bar" role="toolbar" aria-label="Map tools"></div>
      <div class="field"><div class="plane"><canvas class="points"></canvas>
      <canvas class="top" tabindex="0" role="application"></canvas><div class="card"></div></div>
      <div class="legend" aria-label="Legend"></div></div>`;
    parent.appendChild(this.root);
    const find = (name) => this.root.querySelector(name);
    [this.bar, this.plane, this.legend, this.card] = [".bar", ".plane", ".legend", ".card"].map(find);
    [this.canvas, this.top] = ["canvas.points", "canvas.top"].map(find);
    this.gl = this.canvas.getContext("webgl2", { alpha: false, antialias: false, preserveDrawingBuffer: true });
    this.mode = "move";
    this.cards = new Map();
    this.tools();
    if (this.gl) this.program(); else this.say("This browser has no WebGL2, so the map cannot be drawn; search and the list of clusters work without it.");
    this.listen();
    // It also calls at the start, when the map is about to be drawn anyway.
    new ResizeObserver(() => { if (this.drawnSize !== this.size()) this.redraw(); }).observe(this.plane);
    window.addEventListener("lf-face-known", (this.known = (e) => this.know(e.detail)));
    this.canvas.addEventListener("webglcontextlost", (e) => e.preventDefault());
    this.canvas.addEventListener("webglcontextrestored", () => { this.program(); this.upload(true); this.redraw(); });
  }

  close() { window.removeEventListener("lf-face-known", this.known); }

  say(text) { this.plane.insertAdjacentHTML("beforeend", "<p style='padding:16px;position:relative'></p>"); this.plane.lastChild.textContent = text; }

  tools() {
    const add = (text, title, act) => {
      const button = document.createElement("button");
      button.type = "button"; button.textContent = text; button.title = title; button.onclick = act;
      this.bar.appendChild(button);
      return button;
    };
    const mode = (name) => () => { this.mode = name; this.showMode(); this.top.focus(); };
    this.modes = {
      move: add("Move", "Drag moves the map, or turns it in 3-D (M)", mode("move")),
      lasso: add("Lasso", "Drag draws a line around faces (L); holding Shift does so at any time", mode("lasso")),
    };
    add("+", "Closer (+)", () => this.zoom(1.4));
    add("−", "Farther (-)", () => this.zoom(1 / 1.4));
    add("Whole map", "Back to the whole map (0)", () => this.reset());
    add("PNG", "Download the map as it is shown, with its legend, as pixels", () => this.savePng());
    add("SVG", "Download the map as it is shown, with its legend, as drawing", () => this.saveSvg());
    this.note = document.createElement("span");
    this.note.className = "note";
    this.bar.appendChild(this.note);
    this.showMode();
  }

  showMode() {
    for (const [name, button] of Object.entries(this.modes)) button.setAttribute("aria-pressed", String(name === this.mode));
    this.top.classList.toggle("lasso", this.mode === "lasso");
  }

  program() {
    const gl = this.gl, program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text); gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost()) throw new Error(gl.getShaderInfoLog(shader));
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program); gl.useProgram(program);
    this.where = (name) => gl.getUniformLocation(program, name);
    this.slot = (name) => gl.getAttribLocation(program, name);
    this.buffers = { at: gl.createBuffer(), code: gl.createBuffer(), flag: gl.createBuffer() };
    this.texture = gl.createTexture();
    gl.enable(gl.DEPTH_TEST); gl.depthFunc(gl.LEQUAL);
    gl.enable(gl.BLEND); gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
  }

  size() { return `${this.plane.clientWidth}x${this.plane.clientHeight}@${window.devicePixelRatio}`; }

  take(component) {
    this.send = component.setTriggerValue;
    const style = getComputedStyle(this.root), before = css(this.ink || []) + css(this.paper || []);
    this.ink = rgbOf(style.color, [27, 35, 48]);
    this.paper = rgbOf(style.getPropertyValue("--st-background-color").trim(), [255, 255, 255]);
    this.dark = this.paper[0] + this.paper[1] + this.paper[2] < 384;
    // The page is mounted anew more often than it changes; drawing costs more than looking.
    if (this.data && same(component.data, this.bytes) && before === css(this.ink) + css(this.paper)) return;
    if (component.data !== this.bytes) {
      this.bytes = component.data;
      const before = this.data;
      this.data = unpack(component.data);
      this.chosen = this.data.flag.some((f) => f & MARKED);
      const head = this.data.head;
      if (!before || before.head.view !== head.view) this.view = startView(head);
      if (!before || before.head.version !== head.version || before.head.faces !== head.faces) {
        this.cards.clear();
        this.hover(-1);
      }
      this.plane.style.height = this.legend.style.maxHeight = `${head.height}px`;
      this.top.setAttribute("aria-label",
        `Map of ${head.n} faces coloured by ${head.title}. Arrow keys ${head.dims === 2 ? "move" : "turn"} it, plus and minus zoom, Enter chooses the face at the cross, 0 shows the whole map.`);
      this.line = null;
    }
    const head = this.data.head;
    this.colours = head.palette.map(([hex]) => readable(hex, this.dark, head.on_dark || {}));
    this.fillLegend();
    this.upload(true);
    this.redraw();
  }

  upload() {
    const gl = this.gl;
    if (!gl || !this.data) return;
    const { head, xyz, code, flag } = this.data;
    const bind = (name, values, give) => {
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
      gl.enableVertexAttribArray(this.slot(name));
      give(this.slot(name));
    };
    bind("at", xyz, (slot) => gl.vertexAttribPointer(slot, head.dims, gl.FLOAT, false, 0, 0));
    bind("code", code, (slot) => gl.vertexAttribIPointer(slot, 1, gl.UNSIGNED_BYTE, 0, 0));
    bind("flag", flag, (slot) => gl.vertexAttribIPointer(slot, 1, gl.UNSIGNED_BYTE, 0, 0));
    const texels = new Uint8Array(256 * 4);
    head.palette.forEach(([, symbol], i) => texels.set([...this.colours[i], symbol], i * 4));
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, texels);
    for (const kind of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, kind, gl.NEAREST);
  }

  redraw() {
    if (!this.waiting) this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.draw(); });
  }

  // Lines over the map alone: while one draws a lasso or looks at faces, the points stay as they are.
  retop() {
    if (!this.waiting && !this.topWaiting) this.topWaiting = requestAnimationFrame(() => { this.topWaiting = 0; if (this.data && this.matrix) this.drawTop(); });
  }

  draw() {
    const gl = this.gl, ratio = this.ratio = Math.min(window.devicePixelRatio || 1, 2);
    const width = this.plane.clientWidth, height = this.plane.clientHeight;
    if (!this.data || !width || !height) return;
    for (const canvas of [this.canvas, this.top]) {
      if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
      if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
    }
    const head = this.data.head;
    this.drawnSize = this.size();
    this.matrix = matrixOf(this.view, head, width / height);
    if (gl) {
      gl.viewport(0, 0, this.canvas.width, this.canvas.height);
      gl.clearColor(...this.paper.map((v) => v / 255), 1);
      gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      gl.uniformMatrix4fv(this.where("matrix"), false, new Float32Array(this.matrix));
      gl.uniform1f(this.where("size"), this.pointSize() * ratio);
      gl.uniform1i(this.where("flat2d"), head.dims === 2 ? 1 : 0);
      gl.uniform1i(this.where("chosen"), this.chosen ? 1 : 0);
      gl.uniform3fv(this.where("ink"), this.ink.map((v) => v / 255));
      gl.drawArrays(gl.POINTS, 0, head.n);
    }
    this.drawTop();
    this.root.dataset.drawn = `${head.view}:${head.column}`;  // for whoever waits for a drawing
  }

  pointSize() {
    const base = Math.min(8, Math.max(2, 420 / Math.sqrt(this.data.head.n)));
    return Math.min(16, base * Math.pow(this.view.zoom, 0.4));
  }

  drawTop() {
    const pen = this.top.getContext("2d"), ratio = this.ratio, w = this.plane.clientWidth, h = this.plane.clientHeight;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, w, h);
    pen.strokeStyle = pen.fillStyle = css(this.ink);
    if (this.data.head.dims === 3) this.drawBox(pen, w, h);
    if (this.line && this.line.length > 1) {
      pen.lineWidth = 1.5; pen.setLineDash([5, 3]); pen.beginPath();
      this.line.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
      pen.closePath(); pen.stroke(); pen.setLineDash([]);
      pen.globalAlpha = 0.06; pen.fill(); pen.globalAlpha = 1;
    }
    if (this.cross) {
      pen.lineWidth = 1.5; pen.beginPath();
      for (const [x, y] of [[-9, 0], [4, 0], [0, -9], [0, 4]]) {
        pen.moveTo(w / 2 + x, h / 2 + y); pen.lineTo(w / 2 + x + (y ? 0 : 5), h / 2 + y + (y ? 5 : 0));
      }
      pen.stroke();
    }
    if (this.over >= 0) {
      const at = this.project(this.over);
      pen.lineWidth = 2; pen.beginPath(); pen.arc(at[0], at[1], 7, 0, 7); pen.stroke();
    }
  }

  drawBox(pen, w, h) {
    const { low, high } = this.data.head, corner = (i) => [0, 1, 2].map((d) => ((i >> d) & 1 ? high[d] : low[d]));
    pen.globalAlpha = 0.22; pen.lineWidth = 1; pen.beginPath();
    for (let i = 0; i < 8; i++) for (let d = 0; d < 3; d++) if (!((i >> d) & 1)) {
      const [a, b] = [this.screen(...corner(i)), this.screen(...corner(i | (1 << d)))];
      if (a && b) { pen.moveTo(a[0], a[1]); pen.lineTo(b[0], b[1]); }
    }
    pen.stroke(); pen.globalAlpha = 1;
  }

  screen(x, y, z) {
    const m = this.matrix, w = m[3] * x + m[7] * y + m[11] * z + m[15];
    if (w <= 0) return null;
    return [
      ((m[0] * x + m[4] * y + m[8] * z + m[12]) / w + 1) * 0.5 * this.plane.clientWidth,
      (1 - (m[1] * x + m[5] * y + m[9] * z + m[13]) / w) * 0.5 * this.plane.clientHeight, w];
  }

  project(i) {
    const { xyz, head } = this.data;
    return this.screen(xyz[i * head.dims], xyz[i * head.dims + 1], head.dims === 3 ? xyz[i * head.dims + 2] : 0) || [-99, -99];
  }

  // The point nearest to a place, among those within reach; in 3-D the front one of those that nearly coincide.
  nearest(px, py, reach) {
    const { xyz, head, flag } = this.data, m = this.matrix, d = head.dims;
    const w2 = this.plane.clientWidth / 2, h2 = this.plane.clientHeight / 2;
    const cx = px / w2 - 1, cy = 1 - py / h2;
    let best = -1, least = reach * reach, depth = Infinity;
    for (let i = 0; i < head.n; i++) {
      if (flag[i] & (PALE | HIDDEN)) continue;
      const x = xyz[i * d], y = xyz[i * d + 1], z = d === 3 ? xyz[i * d + 2] : 0;
      const w = m[3] * x + m[7] * y + m[11] * z + m[15];
      if (w <= 0) continue;
      const dx = ((m[0] * x + m[4] * y + m[8] * z + m[12]) / w - cx) * w2;
      const dy = ((m[1] * x + m[5] * y + m[9] * z + m[13]) / w - cy) * h2;
      const off = dx * dx + dy * dy;
      if (d === 3 ? off < 16 && w < depth || off < least && depth === Infinity : off < least) {
        best = i; least = off;
        if (d === 3 && off < 16) depth = w;
      }
    }
    return best;
  }

  // ---- pointer and keys
  place(event) {
    const box = this.top.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  listen() {
    const top = this.top;
    top.addEventListener("pointerdown", (e) => {
      if (e.button > 2) return;
      top.setPointerCapture(e.pointerId);
      this.cross = false;
      const at = this.place(e), lasso = e.button === 0 && (this.mode === "lasso" || e.shiftKey);
      this.drag = { at, last: at, lasso, moved: false, slide: e.button !== 0 || e.ctrlKey };
      if (lasso) this.line = [at];
      this.hover(-1);
    });
    top.addEventListener("pointermove", (e) => {
      const at = this.place(e);
      if (!this.drag) {
        this.pointer = at;
        if (!this.looking) this.looking = requestAnimationFrame(() => { this.looking = 0; if (this.pointer && this.data && this.matrix) this.hover(this.nearest(...this.pointer, PICK_PX), this.pointer); });
        return;
      }
      const [dx, dy] = [at[0] - this.drag.last[0], at[1] - this.drag.last[1]];
      if (Math.hypot(at[0] - this.drag.at[0], at[1] - this.drag.at[1]) > CLICK_PX) this.drag.moved = true;
      if (this.drag.lasso) {
        if (Math.hypot(dx, dy) >= 2) { this.line.push(at); this.drag.last = at; this.retop(); }
      } else { this.shift(dx, dy, this.drag.slide); this.drag.last = at; this.redraw(); }
    });
    const end = (e) => {
      const drag = this.drag;
      this.drag = null;
      if (!drag || !this.matrix) return;
      if (!drag.moved) {
        this.line = null;
        const i = e.type === "pointerup" && e.button === 0 ? this.nearest(...this.place(e), PICK_PX) : -1;
        if (i >= 0) this.pick(i);
      } else if (drag.lasso) this.sendLasso();
      this.retop();
    };
    top.addEventListener("pointerup", end);
    top.addEventListener("pointercancel", end);
    top.addEventListener("pointerleave", () => { this.pointer = null; this.hover(-1); });
    top.addEventListener("contextmenu", (e) => e.preventDefault());
    top.addEventListener("wheel", (e) => { e.preventDefault(); this.zoom(Math.exp(-e.deltaY * (e.deltaMode ? 0.05 : 0.0015)), this.place(e)); }, { passive: false });
    top.addEventListener("focus", () => { if (top.matches(":focus-visible")) { this.cross = true; this.look(); } });
    top.addEventListener("blur", () => { this.cross = false; this.hover(-1); this.retop(); });
    top.addEventListener("keydown", (e) => this.key(e));
  }

  key(event) {
    const step = 40, moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    if (event.ctrlKey || event.altKey || event.metaKey || !this.data) return;
    if (moves[event.key]) this.shift(...moves[event.key], event.shiftKey);
    else if (event.key === "+" || event.key === "=") this.zoom(1.25);
    else if (event.key === "-") this.zoom(0.8);
    else if (event.key === "0") this.reset();
    else if (event.key === "m" || event.key === "l") { this.mode = event.key === "m" ? "move" : "lasso"; this.showMode(); }
    else if (event.key === "Escape") { this.line = null; this.drag = null; }
    else if (event.key === "Enter" || event.key === " ") { if (this.over >= 0) this.pick(this.over); }
    else return;
    event.preventDefault();
    this.cross = true;
    if (moves[event.key]) this.redraw();
    this.look();
  }

  look() {  // what stands at the cross, once it is drawn
    this.retop();
    requestAnimationFrame(() => requestAnimationFrame(() => {
      if (!this.cross || !this.matrix) return;
      const at = [this.plane.clientWidth / 2, this.plane.clientHeight / 2];
      this.hover(this.nearest(...at, 60), at);
    }));
  }

  shift(dx, dy, slide) {
    const view = this.view, head = this.data.head, less = Math.min(this.plane.clientWidth, this.plane.clientHeight) / 2;
    if (head.dims === 2) {
      view.x -= dx * head.radius / (view.zoom * less);
      view.y += dy * head.radius / (view.zoom * less);
    } else if (slide) { view.x -= dx / less / view.zoom; view.y += dy / less / view.zoom; } else {
      view.turn -= dx * 0.008;
      view.tilt = Math.min(1.55, Math.max(-1.55, view.tilt + dy * 0.008));
    }
    this.line = this.drag && this.drag.lasso ? this.line : null;
  }

  zoom(factor, at) {
    if (!this.data) return;
    const view = this.view, before = view.zoom;
    view.zoom = Math.min(this.data.head.dims === 2 ? 500 : 12, Math.max(0.3, before * factor));
    if (at && this.data.head.dims === 2) {  // the place under the pointer stays
      const w = this.plane.clientWidth, h = this.plane.clientHeight, less = Math.min(w, h) / 2;
      const move = this.data.head.radius / less * (1 / before - 1 / view.zoom);
      view.x += (at[0] - w / 2) * move;
      view.y -= (at[1] - h / 2) * move;
    }
    this.line = null;
    this.redraw();
    if (this.cross) this.look();
  }

  reset() { if (this.data) { this.view = startView(this.data.head); this.line = null; this.redraw(); } }

  pick(index) { this.send("pick", { index, version: this.data.head.version }); }

  sendLasso() {
    const w = this.plane.clientWidth, h = this.plane.clientHeight;
    const each = Math.max(1, Math.ceil(this.line.length / MAX_CORNERS));
    const corners = this.line.filter((_, i) => i % each === 0).map(([x, y]) => [x / w * 2 - 1, 1 - y / h * 2]);
    if (corners.length >= 3) this.send("lasso", { corners, matrix: Array.from(this.matrix), version: this.data.head.version });
  }

  // ---- the card of the point under the pointer; its words and picture come from face_card.js
  hover(index, at) {
    if (at) this.cardAt = at;
    if (index === this.over) return this.placeCard();
    this.over = index;
    this.card.style.display = "none";
    if (index >= 0) {
      const card = this.cards.get(index);
      if (card) this.fillCard(card);
      else window.dispatchEvent(new CustomEvent("lf-face-wanted", { detail: { index, version: this.data.head.version } }));
    }
    this.retop();
  }

  know(card) {
    if (!this.data || card.version !== this.data.head.version) return;
    if (this.cards.size > 500) this.cards.clear();
    this.cards.set(card.index, card);
    if (card.index === this.over) this.fillCard(card);
  }

  fillCard(card) {
    this.card.replaceChildren();
    if (card.uri && card.uri.startsWith("data:image/")) {
      const image = document.createElement("img");
      image.src = card.uri; image.alt = "";
      this.card.appendChild(image);
    }
    const text = document.createElement("div");
    text.textContent = card.text;
    this.card.appendChild(text);
    this.card.style.display = "flex";
    this.placeCard();
  }

  placeCard() {
    if (this.over < 0 || !this.cardAt) return;
    const [x, y] = this.cardAt, w = this.plane.clientWidth, h = this.plane.clientHeight, card = this.card;
    card.style.left = `${x + 16 + card.offsetWidth > w ? Math.max(0, x - 16 - card.offsetWidth) : x + 16}px`;
    card.style.top = `${Math.max(0, Math.min(y + 12, h - card.offsetHeight - 4))}px`;
  }

  // ---- legend
  fillLegend() {
    const { head } = this.data, box = this.legend;
    box.replaceChildren();
    const line = (name, text) => { const e = document.createElement("div"); e.className = name; e.textContent = text; box.appendChild(e); return e; };
    line("title", head.title);
    if (head.scale) {
      line("ramp", "").style.background = `linear-gradient(90deg,${this.colours.slice(0, STEPS_OF_SCALE).filter((_, i) => i % 20 === 0 || i === STEPS_OF_SCALE - 1).map(css).join(",")})`;
      const ends = line("ends", "");
      for (const end of head.scale) ends.appendChild(Object.assign(document.createElement("span"), { textContent: Number(end.toPrecision(3)).toLocaleString() }));
    }
    for (const entry of head.legend) {
      const button = document.createElement("button");
      button.type = "button"; button.title = `Select: ${entry.name}`;
      button.innerHTML = `<svg width="12" height="12" viewBox="-1.2 -1.2 2.4 2.4" aria-hidden="true">${symbolOf(entry.symbol, css(this.colours[entry.code]))}</svg><span class="name"></span><span class="count"></span>`;
      button.querySelector(".name").textContent = entry.name;
      button.querySelector(".count").textContent = entry.count.toLocaleString();
      button.onclick = () => this.send("value", { code: entry.code, version: head.version, column: head.column });
      box.appendChild(button);
    }
  }

  // ---- downloads
  savePng() {
    this.draw();
    const ratio = this.canvas.width / this.plane.clientWidth, legend = this.legendSize() * ratio;
    const out = document.createElement("canvas");
    out.width = this.canvas.width + legend; out.height = this.canvas.height;
    const pen = out.getContext("2d");
    pen.fillStyle = css(this.paper); pen.fillRect(0, 0, out.width, out.height);
    pen.drawImage(this.canvas, 0, 0);
    const image = new Image();
    image.onload = () => { pen.drawImage(image, this.canvas.width, 0, legend, out.height); out.toBlob((blob) => this.save(blob, "png")); };
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(this.svg(this.legendSvg(0), this.legendSize()))}`;
  }

  saveSvg() {
    this.draw();
    // One path per colour; each point is a line of no length with round ends.
    const { head, code, flag } = this.data, w = this.plane.clientWidth, h = this.plane.clientHeight, paths = new Map();
    for (let i = 0; i < head.n; i++) {
      if (flag[i] & HIDDEN) continue;
      const [x, y] = this.project(i);
      if (x < 0 || y < 0 || x > w || y > h) continue;
      const key = flag[i] & PALE ? -1 : code[i];
      if (!paths.has(key)) paths.set(key, []);
      paths.get(key).push(`M${x.toFixed(1)} ${y.toFixed(1)}h0`);
    }
    const drawn = [...paths].sort((a, b) => a[0] - b[0]).map(([key, parts]) =>
      `<path d="${parts.join("")}" stroke="${key < 0 ? "#9ea3ab" : css(this.colours[key])}" stroke-opacity="${key < 0 ? 0.22 : 0.9}"/>`);
    const body = `<g fill="none" stroke-linecap="round" stroke-width="${this.pointSize().toFixed(1)}">${drawn.join("")}</g>`;
    this.save(new Blob([this.svg(body + this.legendSvg(w), w + this.legendSize())], { type: "image/svg+xml" }), "svg");
  }

  legendSize() { return 230; }

  svg(body, width) {
    const h = this.plane.clientHeight;
    return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${h}" viewBox="0 0 ${width} ${h}" font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="${css(this.paper)}"/>${body}</svg>`;
  }

  legendSvg(left) {
    const { head } = this.data, rows = [`<text x="${left + 10}" y="20" font-weight="bold" fill="${css(this.ink)}">${escape(head.title)}</text>`];
    let y = 42;
    if (head.scale) {
      for (let i = 0; i < 50; i++) rows.push(`<rect x="${left + 10 + i * 4}" y="${y - 12}" width="4.5" height="12" fill="${css(this.colours[i * 4])}"/>`);
      const [low, high] = head.scale.map((v) => Number(v.toPrecision(3)));
      rows.push(`<text x="${left + 10}" y="${y + 16}" fill="${css(this.ink)}">${low}</text><text x="${left + 210}" y="${y + 16}" text-anchor="end" fill="${css(this.ink)}">${high}</text>`);
      y += 40;
    }
    for (const entry of head.legend) {
      const name = entry.name.length > 22 ? `${entry.name.slice(0, 21)}…` : entry.name;
      rows.push(`<g transform="translate(${left + 16} ${y - 4}) scale(5)">${symbolOf(entry.symbol, css(this.colours[entry.code]))}</g><text x="${left + 28}" y="${y}" fill="${css(this.ink)}">${escape(name)} (${entry.count.toLocaleString()})</text>`);
      y += 20;
    }
    return rows.join("");
  }

  save(blob, kind) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${String(this.data.head.file || "map").replace(/[^\w.-]+/g, "_")}.${kind}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }
}

const escape = (text) => String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]).replace(/[\u0000-\u001f]/g, " ");

function symbolOf(kind, colour) {
  const shapes = [
    "<circle r='1'/>", "<path d='M0-1L1 0 0 1-1 0z'/>", "<path d='M-.8-.8H.8V.8H-.8z'/>",
    "<path d='M-1-.36H-.36V-1H.36V-.36H1V.36H.36V1H-.36V.36H-1z'/>",
    "<path transform='rotate(45)' d='M-1-.36H-.36V-1H.36V-.36H1V.36H.36V1H-.36V.36H-1z'/>"];
  return `<g fill="${colour}">${shapes[kind] || shapes[0]}</g>`;
}

export default function (component) {
  const parent = component.parentElement;
  let map = parent.lfPointMap;
  if (!map || !map.root.isConnected) map = parent.lfPointMap = new PointMap(parent);
  map.take(component);
  return () => map.close();
}
