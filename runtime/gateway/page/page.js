// What the page at / does: shows the node's status, streams an answer and says what of it was checked.

import { ask, Forged, get } from './ask.js';
import { address, check, hex, saved, unhex } from './receipt.js';

const $ = id => document.getElementById(id);
const short = a => a && a.length > 22 ? a.slice(0, 12) + '…' + a.slice(-6) : a || '–';

function element(tag, text, cls) {
  const e = document.createElement(tag);
  e.textContent = text;
  e.className = cls || '';
  return e;
}

function fill(body, rows, none) {
  $(body).replaceChildren(...rows.map(cells => {
    const tr = document.createElement('tr');
    cells.forEach(([text, cls, title]) => { const td = element('td', text, cls); if (title) td.title = title; tr.append(td); });
    return tr;
  }));
  if (!rows.length) {
    const td = element('td', none, 'soft');
    td.colSpan = 9;
    $(body).append(document.createElement('tr'));
    $(body).firstChild.append(td);
  }
}

let own = ''; // this miner's address

async function refresh() {
  try {
    const s = await get('assay/v1/status');
    own ||= address(unhex((await get('assay/v1/info')).miner));
    $('link').textContent = 'live'; $('link').className = 'good';
    $('chain').textContent = s.chain_id;
    for (const k of ['height', 'epoch', 'phase', 'module', 'device']) $(k).textContent = s[k] ?? '–';
    $('bar').style.width = Math.min(100, 100 * (s.height - s.epoch_start) / Math.max(1, s.epoch_end - s.epoch_start)) + '%';
    fill('miners', (s.miners || []).map(m => [[short(m.address) + (m.address === own ? ' (this one)' : ''), 'mono', m.address], [m.units ?? 0, 'n'], [m.share, 'n'], [m.power ?? 0, 'n'], [m.state, m.state === 'active' ? '' : 'bad']]), 'nobody has registered yet');
    $('settled').textContent = s.settlement ? `epoch ${s.settlement.epoch}, reserve +${s.settlement.reserve} GNK` : '';
    fill('rows', (s.settlement?.rows || []).map(m => [[short(m.address), 'mono', m.address], [m.units, 'n'], [m.amount, 'n'], [m.outcome, m.outcome === 'paid' ? 'good' : 'bad']]),
      'the first epoch has not ended yet');
  } catch (e) {
    const why = e instanceof TypeError ? 'the node cannot be reached' : e.message; // a browser's words differ
    $('link').textContent = `${why}; what is shown may be old`; $('link').className = 'bad';
  }
  setTimeout(refresh, 1500);
}

// verdict shows what was found: a headline, the single findings, and what to do next.
function verdict(ok, headline, findings, next) {
  $('verdict').textContent = headline;
  $('verdict').className = ok === null ? 'soft' : ok ? 'good' : 'bad';
  $('checks').replaceChildren(...findings.map(f => element('li', `${f.ok ? '✓' : '✗'} ${f.what}`, f.ok ? '' : 'bad')));
  $('next').replaceChildren(...(next || []));
}

// keep offers the answer as a file, and the command that checks it without this page.
function keep(answer) {
  const name = `answer-${hex(answer.chain.sum).slice(0, 8)}.json`, command = `assay verify receipt ${name}`;
  const link = element('a', 'Save the answer', 'button');
  link.href = URL.createObjectURL(new Blob([saved(answer)], { type: 'application/json' }));
  link.download = name;
  const p = element('p', '');
  p.append(link, ' then ', element('code', command));
  return p;
}

// trouble in words that say what to do.
function words(e) {
  if (e.name === 'AbortError') return 'Stopped. The same prompt gives the same answer: ask again to see all of it.';
  if (e.code === 'payment') return 'This miner charges, and this page cannot pay. Open a channel and use `assay ask … --channel`, or ask another miner.';
  if (e.code === 'busy') return `The miner has no place free: ${e.message}.`;
  if (e instanceof TypeError) return 'The miner cannot be reached. Is it running, and are you online?';
  return `No answer: ${e.message}.`;
}

let asking = null; // the AbortController of the answer that streams

async function submit() {
  if (asking) { asking.abort(); return; }
  asking = new AbortController();
  const prompt = $('prompt').value, utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
  $('go').textContent = 'Stop';
  $('answer').replaceChildren(element('span', prompt, 'soft'));
  verdict(null, 'Asking…', []);
  let tokens = 0;
  try {
    const answer = await ask({
      prompt, temperature: 0.7, signal: asking.signal,
      on: {
        token: text => { $('answer').append(utf8.decode(text, { stream: true })); verdict(null, `${++tokens} tokens, each follows from those before`, []); },
        trouble: e => verdict(null, `${e instanceof TypeError ? 'the miner cannot be reached' : e.message}; trying again…`, []),
      },
    });
    $('answer').append(utf8.decode());
    const findings = check(answer), ok = findings.every(f => f.ok);
    verdict(ok, ok ? 'Checked: the miner signed a receipt for this very text.' : 'DOES NOT MATCH: the receipt does not hold for this text. Do not rely on it; keep it as evidence.',
      findings, [element('p', 'Not checked: that the model really gives this text, and this page, which came from the miner itself. '
        + 'Your own copy of assay checks both, by running it again:'), keep(answer)]);
  } catch (e) {
    if (e instanceof Forged) verdict(false, `DOES NOT MATCH: ${e.message}. Do not rely on this text; ask another miner.`, []);
    else verdict(false, words(e), [], tokens ? [element('p', `The ${tokens} tokens above follow from each other, but no receipt came: nobody has signed them.`)] : []);
  }
  asking = null;
  $('go').textContent = 'Stream';
}

$('ask').addEventListener('submit', e => { e.preventDefault(); submit(); });
// A second Enter must not stop what the first began; Escape does.
$('prompt').addEventListener('keydown', e => { if (asking && e.key === 'Enter') e.preventDefault(); });
document.addEventListener('keydown', e => { if (e.key === 'Escape') asking?.abort(); });
$('go').disabled = false;
refresh();
