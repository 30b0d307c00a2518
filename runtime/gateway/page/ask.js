// Streams one answer from POST /v1/completions and checks each token as it comes.

import { Chain, requestBytes, same, unbase64 } from './receipt.js';

// Refused is a miner's refusal; its code is one of docs/spec/stream.md.
export class Refused extends Error { constructor(e) { super(e.message); this.code = e.code; } }

// Forged is a stream that contradicts itself: asking the same miner again is of no use.
export class Forged extends Error { }

async function json(r) {
  let v;
  try { v = await r.json(); } catch { throw new Error(`the miner answered ${r.status} ${r.statusText}, and nothing that can be read`); }
  if (v.error) throw new Refused(v.error);
  if (!r.ok) throw new Error(`the miner answered ${r.status} ${r.statusText}`);
  return v;
}

// get asks the miner about itself: paths are relative, so that the page may stand behind a proxy.
export const get = async (path, signal) => json(await fetch(path, { signal }));

// ask follows an answer to its receipt, over as many connections as it takes: the same request has the same answer, so
// one that broke off is asked for again after the last token that came. on.token is called with each token, on.trouble
// with what went wrong before it is tried again. Returns {tokens, request, chain, proof, miner}; throws Refused, Forged,
// the signal's AbortError, or what the last connection failed with.
export async function ask({ prompt, temperature, signal, on }) {
  const info = await get('assay/v1/info', signal), offer = info.offers[0];
  if (!offer) throw new Refused({ code: 'unknown_model', message: 'this miner serves no model' });
  const maxTokens = Math.min(160, offer.max_tokens);
  const request = requestBytes({ module: offer.module, model: offer.model, prompt, temperature, maxTokens });
  const answer = { tokens: [], request, chain: new Chain(request), proof: null, miner: info.miner };
  const body = JSON.stringify({ model: offer.name, prompt, max_tokens: maxTokens, temperature, stream: true });
  for (let tries = 0; ; tries++) {
    const had = answer.tokens.length;
    try {
      await once(answer, body, signal, on);
      return answer;
    } catch (e) {
      const taken = answer.tokens.length > 0 && ['busy', 'too_slow'].includes(e.code); // an answer that was begun goes on
      if (answer.tokens.length > had) tries = 0;
      if (signal.aborted || e instanceof Forged || e instanceof Refused && !taken || tries >= 8) throw e;
      on.trouble(e);
      await pause(Math.min(5000, 200 * 2 ** tries), signal);
    }
  }
}

const pause = (ms, signal) => new Promise((go, stop) => {
  signal.addEventListener('abort', () => stop(signal.reason), { once: true });
  setTimeout(go, ms);
});

// once runs one connection until the receipt.
async function once(answer, body, signal, on) {
  const headers = answer.tokens.length ? { 'Last-Event-ID': String(answer.tokens.length - 1) } : {};
  const r = await fetch('v1/completions', { method: 'POST', body, headers, signal });
  if (!r.ok) await json(r);
  const reader = r.body.getReader(), utf8 = new TextDecoder();
  for (let rest = ''; ;) {
    const { value, done } = await reader.read();
    if (done) throw new Error('the connection broke');
    rest += utf8.decode(value, { stream: true });
    const events = rest.split('\n\n');
    rest = events.pop();
    for (const event of events) {
      const data = event.split('\n').find(l => l.startsWith('data: {'));
      if (data && take(answer, data.slice(6), on)) { await reader.cancel(); return; }
    }
  }
}

// take holds one event against the running digest; it says whether it was the last.
function take(answer, data, on) {
  let c, text, digest;
  try {
    c = JSON.parse(data);
    if (c.error) throw new Refused(c.error);
    if (c.assay.receipt) { answer.proof = c.assay; return true; }
    text = unbase64(c.assay.text);
    digest = unbase64(c.assay.digest);
  } catch (e) {
    throw e instanceof Refused ? e : new Forged('what the miner sent is no token of an answer');
  }
  const seq = answer.tokens.length;
  if (c.assay.seq !== seq) throw new Forged(`token ${c.assay.seq} came where ${seq} was due`);
  if (!same(answer.chain.add(c.assay.token, text), digest)) throw new Forged(`the text of token ${seq} does not match its digest`);
  answer.tokens.push({ id: c.assay.token, text });
  on.token(text);
  return false;
}
