// Runs the page's own code over cases from standard input: check.mjs FOLDER, for page_test.go.
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const load = name => import(pathToFileURL(`${process.argv[2]}/${name}`));
const hashes = await load('hashes.js'), { address, Chain, base64, check, hex, requestBytes, saved, unbase64, unhex } = await load('receipt.js');
const { verify } = await load('noble-secp256k1.js');
const cases = JSON.parse(readFileSync(0, 'utf8'));

console.log(JSON.stringify({
  hashes: (cases.hashes || []).map(c => { const b = unbase64(c); return ['blake3', 'sha256', 'ripemd160'].map(h => hex(hashes[h](b))); }),
  signatures: (cases.signatures || []).map(c => { try { return verify(unbase64(c.sig), unbase64(c.hash), unbase64(c.key)); } catch { return false; } }),
  answers: (cases.answers || []).map(c => {
    const request = requestBytes(c.asked), chain = new Chain(request);
    const digests = c.tokens.map(t => base64(chain.add(t.id, unbase64(t.text))));
    const tokens = c.tokens.map(t => ({ id: t.id, text: unbase64(t.text) }));
    return { request: base64(request), digests, findings: check({ request, chain, proof: c.proof, miner: c.miner }), saved: saved({ tokens, proof: c.proof }), address: address(unhex(c.miner)) };
  }),
}));
