// Checks an answer against its receipt: docs/spec/stream.md and, for the bytes, section 8 of
// docs/spec/commitments.md. Nothing here touches the page or the network.

import { blake3, ripemd160, sha256 } from './hashes.js';
import { verify } from './noble-secp256k1.js';

export const Q16 = 65536; // one, in the fixed point of the sampling parameters

export const hex = bytes => Array.from(bytes, b => b.toString(16).padStart(2, '0')).join('');
export const unhex = s => Uint8Array.from(s.match(/../g) || [], b => parseInt(b, 16));
export const base64 = bytes => btoa(Array.from(bytes, b => String.fromCharCode(b)).join(''));
export const unbase64 = s => Uint8Array.from(atob(s || ''), c => c.charCodeAt(0));
export const same = (a, b) => a.length === b.length && a.every((x, i) => x === b[i]);
const utf8 = s => new TextEncoder().encode(s);

// address is an account's address as people see it: bech32 (BIP 173).
export function address(bytes, prefix = 'assay') {
  const digits = [];
  let bits = 0, held = 0;
  for (const b of bytes) {
    held = held << 8 | b;
    for (bits += 8; bits >= 5; bits -= 5) digits.push(held >> bits - 5 & 31);
    held &= 255;
  }
  if (bits) digits.push(held << 5 - bits & 31);
  const codes = Array.from(prefix, c => c.charCodeAt(0));
  let sum = 1;
  for (const v of [...codes.map(c => c >> 5), 0, ...codes.map(c => c & 31), ...digits, 0, 0, 0, 0, 0, 0]) {
    const top = sum >> 25;
    sum = (sum & 0x1ffffff) << 5 ^ v;
    [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3].forEach((g, i) => { if (top >> i & 1) sum ^= g; });
  }
  for (let i = 5; i >= 0; i--) digits.push((sum ^ 1) >> 5 * i & 31);
  return prefix + '1' + digits.map(d => 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'[d]).join('');
}

// encode puts canonical bytes together: numbers are u32, strings the tag, bytes raw; wrap a byte string in sized.
function encode(tag, ...parts) {
  const all = [Uint8Array.of(tag.length), utf8(tag), ...parts.map(p => typeof p === 'number' ? u32(p) : p)];
  const out = new Uint8Array(all.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of all) { out.set(p, at); at += p.length; }
  return out;
}
const u32 = n => Uint8Array.of(n, n >>> 8, n >>> 16, n >>> 24);
const sized = b => Uint8Array.of(...u32(b.length), ...b);

// requestBytes is the request that POST /v1/completions makes of a call: what the page wanted, not what the miner
// says that it wanted.
export function requestBytes({ module, model, prompt, temperature, maxTokens }) {
  return encode('assay/request/1', unhex(module), unhex(model), blake3(utf8('assay/openai-seed/1 0')),
    Math.round(temperature * Q16), 0, Q16, Q16, maxTokens, sized(utf8(prompt)));
}

// Chain is the running digest of an answer.
export class Chain {
  constructor(request) { this.sum = blake3(encode('assay/output/1', blake3(request))); this.tokens = 0; }
  add(token, text) { this.tokens++; return this.sum = blake3(encode('assay/frame/1', this.sum, token, sized(text))); }
}

// decodeReceipt throws on bytes that are not exactly a receipt.
export function decodeReceipt(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  const raw = n => { if (at + n > bytes.length) throw new Error('cut short'); at += n; return bytes.slice(at - n, at); };
  const n32 = () => { raw(4); return view.getUint32(at - 4, true); };
  const n64 = () => { raw(8); return view.getBigUint64(at - 8, true); };
  const text = b => new TextDecoder('utf-8', { fatal: true }).decode(b);
  if (text(raw(raw(1)[0])) !== 'assay/receipt/1') throw new Error('no receipt');
  const r = {
    chainID: text(raw(n32())), channel: n64(), miner: raw(n32()), epoch: n64(), request: raw(32), module: raw(32), model: raw(32),
    output: raw(32), traceRoot: raw(32), trap: raw(1)[0], promptTokens: n32(), tokens: n32(), gas: n64(), price: n64(),
  };
  if (at !== bytes.length) throw new Error('bytes left over');
  return r;
}

// check holds a proof (the last chunk's: base64 of request, receipt, signature and public key) against what was
// asked and what came. It returns a list of {ok, what}, in the order in which a person would ask; what says why where
// it is not ok. A check that cannot be made because of one before it is left out.
export function check({ request, chain, proof, miner }) {
  const out = [];
  const say = (ok, good, bad) => { out.push({ ok, what: ok ? good : bad }); return ok; };
  let bytes, r;
  try {
    bytes = unbase64(proof.receipt);
    r = decodeReceipt(bytes);
  } catch (e) {
    say(false, '', `what the miner calls a receipt is none: ${e.message}`);
    return out;
  }
  const names = same(r.module, request.slice(16, 48)) && same(r.model, request.slice(48, 80)); // behind the tag
  say(names && same(r.request, blake3(request)), 'it is for this prompt with these settings', 'it is for another request than yours');
  say(r.tokens === chain.tokens && same(r.output, chain.sum), `the ${chain.tokens} tokens above are those it names, letter by letter`,
    r.tokens === chain.tokens ? 'its digest is not that of the text above' : `it is for ${r.tokens} tokens, and ${chain.tokens} came`);
  if (r.trap !== 1) out.push({ ok: true, what: `the module was stopped (trap ${r.trap}): the text is what it gave until then` });
  let signed = false, owns = false;
  try {
    const key = unbase64(proof.public_key);
    owns = same(ripemd160(sha256(key)), r.miner);
    signed = verify(unbase64(proof.signature), sha256(bytes), key);
  } catch { /* a key or signature of another shape is a wrong one */ }
  say(signed, 'the signature is right', 'the signature is not right');
  say(owns, `the key that signed is that of miner ${address(r.miner)}`, `the key is not that of miner ${address(r.miner)}, whom the receipt names`);
  say(!miner || hex(r.miner) === miner, 'that is the miner of this page', `this page's miner is ${address(unhex(miner))}`);
  say(r.channel === 0n && r.price === 0n, 'it costs nothing', `it takes ${r.price} ngnk from channel ${r.channel}, which nobody agreed to`);
  return out;
}

// saved is the answer as `assay ask --output json` prints it and `assay verify receipt` reads it.
export function saved({ tokens, proof }) {
  const whole = new Uint8Array(tokens.reduce((n, t) => n + t.text.length, 0));
  tokens.reduce((at, t) => { whole.set(t.text, at); return at + t.text.length; }, 0);
  return JSON.stringify({
    text: new TextDecoder('utf-8', { ignoreBOM: true }).decode(whole), tokens: tokens.map(t => t.id), texts: tokens.map(t => base64(t.text)), ...proof,
  }, null, 1);
}
