// Runs cases on V8: reads them from standard input, writes outcomes to
// standard output, one JSON line each. The formats are those of case.go.
'use strict';
const fs = require('fs');
const { createHash } = require('crypto');

const hostBase = 100n;
const resultsAt = 64 * 16;
const gasLeft = (g) => g.exports['assay:gas'].value + g.exports['assay:reserve'].value;
function setGas(g, n, slice) {
  const now = slice > 0 && n > BigInt(slice) ? BigInt(slice) : n;
  g.exports['assay:gas'].value = now;
  g.exports['assay:reserve'].value = n - now;
}
const trap = { none: 1, gas: 2, unreachable: 4, memory: 5, table: 6, indirect: 7, zero: 8, overflow: 9, conversion: 10, abort: 11,
  instantiate: 100, stack: 101, unknown: 102 };

class Stop extends Error {}

// What V8 says, and what it means. It has one text for a float that is too
// large and for one that is no number, and one for a null entry and for one of
// another type: the comparison knows.
function classify(e, stopped, status) {
  if (e instanceof Stop) return stopped;
  if (e instanceof RangeError && /call stack/.test(e.message)) return trap.stack;
  if (!(e instanceof WebAssembly.RuntimeError)) throw e;
  const m = e.message;
  if (m === 'unreachable') return status || trap.unreachable;
  if (/memory access out of bounds/.test(m)) return trap.memory;
  if (/divide result unrepresentable/.test(m)) return trap.overflow;
  if (/float unrepresentable/.test(m)) return trap.conversion;
  if (/divide by zero|remainder by zero/.test(m)) return trap.zero;
  if (/null function or function signature mismatch/.test(m)) return trap.indirect;
  if (/table (index|access|element)|table or|element segment|out of bounds table/i.test(m)) return trap.table;
  if (/data segment/.test(m)) return trap.memory;
  throw e;
}

function hash(bytes) {
  let n = bytes.length;
  if (bytes.byteOffset % 8 === 0 && n % 8 === 0) {
    const w = new Int32Array(bytes.buffer, bytes.byteOffset, n / 4);
    let k = w.length;
    while (k > 0 && w[k - 1] === 0) k--;
    n = 4 * k;
  }
  while (n > 0 && bytes[n - 1] === 0) n--;
  return createHash('sha256').update(bytes.subarray(0, n)).digest('hex').slice(0, 16);
}

class Host {
  constructor(c) { this.c = c; this.events = 0; this.digest = 2166136261; }
  mix(b) { this.digest = Math.imul(this.digest ^ b, 16777619) >>> 0; }
  memory() { return this.c.memory ? new Uint8Array(this.guest.exports['assay:memory'].buffer) : null; }
  call(shim, k) {
    const t = this.c.imports[k];
    const b = new Uint8Array(shim.exports['assay:buffer'].buffer);
    const args = b.subarray(0, 16 * t.params.length);
    const results = b.subarray(resultsAt, resultsAt + 16 * t.results.length);
    const left = gasLeft(this.guest) - hostBase;
    setGas(this.guest, left, this.c.slice);
    if (left < 0n) return trap.gas;
    this.events++;
    this.mix(k & 255);
    for (const x of args) this.mix(x);
    const mem = this.memory();
    if (mem && mem.length > 0) mem[this.digest % mem.length] ^= (this.digest >>> 8) & 255;
    if (this.digest % 64 === 63) return trap.abort;
    for (let j = 0; j < results.length; j++) results[j] = ((this.digest >>> (8 * (j % 4))) ^ j) & 255;
    return 0;
  }
}

const module_ = (b64) => new WebAssembly.Module(Buffer.from(b64, 'base64'));

function run(c) {
  const host = new Host(c);
  let stopped = 0;
  const imports = {};
  for (const s of c.shims || []) {
    const shim = new WebAssembly.Instance(module_(s.wasm), { 'assay:host': { call: (k) => {
      const t = host.call(shim, k);
      new Uint8Array(shim.exports['assay:buffer'].buffer).fill(0, 0, resultsAt); // narrow operands leave the rest as it was
      if (t !== 0) { stopped = t; throw new Stop(); }
    } } });
    imports[s.module] = shim.exports;
  }
  let guest;
  try {
    guest = new WebAssembly.Instance(module_(c.wasm), imports);
  } catch (e) {
    if (e instanceof WebAssembly.RuntimeError) return [{ trap: trap.instantiate }];
    throw e;
  }
  host.guest = guest;
  const helpers = { 'assay:guest': guest.exports, 'assay:host': { ref: (v) => (v === 0 ? null : v), unref: (v) => (v === null ? 0 : v) } };
  const driver = new WebAssembly.Instance(module_(c.driver), helpers);
  const globals = c.globals ? new WebAssembly.Instance(module_(c.globals), helpers) : null;
  const buffer = new Uint8Array(driver.exports['assay:buffer'].buffer);
  for (const d of c.data || []) host.memory().set(Buffer.from(d.bytes, 'base64'), d.at);
  const out = [];
  (c.calls || []).forEach((call, i) => {
    const e = c.exports[call.export];
    const stack = guest.exports['assay:stack'], status = guest.exports['assay:status'];
    setGas(guest, BigInt(call.gas), c.slice);
    stack.value = call.stack;
    status.value = 0;
    stopped = 0;
    buffer.set(Buffer.from(call.args, 'hex'));
    buffer.fill(0, resultsAt, resultsAt + 16 * e.results.length);
    const o = { trap: trap.none, results: '', pages: 0, hash: '', globals: '' };
    try {
      driver.exports['c' + call.export]();
      o.results = Buffer.from(buffer.subarray(resultsAt, resultsAt + 16 * e.results.length)).toString('hex');
    } catch (err) {
      o.trap = classify(err, stopped, status.value);
    }
    o.gas = gasLeft(guest).toString();
    o.stack = stack.value;
    o.status = status.value;
    if (c.memory) {
      const mem = host.memory();
      o.pages = mem.length / 65536;
      if (!c.sparse || i === c.calls.length - 1) o.hash = hash(mem);
    }
    if (globals) {
      globals.exports.g();
      o.globals = hash(new Uint8Array(globals.exports['assay:buffer'].buffer, 0, 16 * c.nglobals));
    }
    o.events = host.events;
    o.digest = host.digest;
    out.push(o);
  });
  return out;
}

let count = 0;
function reply(text) {
  const c = JSON.parse(text);
  const r = { id: c.id, outcomes: [], err: '' };
  for (let attempt = 0; ; attempt++) {
    try {
      r.outcomes = run(c);
    } catch (e) {
      // Memories of instances that nobody holds any more are freed late.
      if (attempt === 0 && e instanceof RangeError) { global.gc(); continue; }
      r.err = String(e && e.stack || e);
    }
    break;
  }
  if (++count % 64 === 0) global.gc();
  const line = Buffer.from(JSON.stringify(r) + '\n');
  for (let at = 0; at < line.length;) {
    try {
      at += fs.writeSync(1, line, at);
    } catch (e) {
      if (e.code !== 'EAGAIN') throw e;
    }
  }
}

// Standard input, line by line, without the event loop: a case is done before
// the next is read.
const chunk = Buffer.alloc(1 << 20);
let parts = [];
for (;;) {
  let n;
  try {
    n = fs.readSync(0, chunk, 0, chunk.length, null);
  } catch (e) {
    if (e.code === 'EAGAIN') continue;
    throw e;
  }
  if (n === 0) break;
  let from = 0;
  for (let at; (at = chunk.indexOf(10, from)) >= 0 && at < n; from = at + 1) {
    parts.push(Buffer.from(chunk.subarray(from, at)));
    reply(Buffer.concat(parts).toString());
    parts = [];
  }
  parts.push(Buffer.from(chunk.subarray(from, n)));
}
