// The hash functions that an answer is checked with: BLAKE3 (its specification, section 2), SHA-256 (FIPS 180-4)
// and RIPEMD-160. WebCrypto has only one of them, and that not on pages that come over plain http.

const rotr = (x, n) => x >>> n | x << 32 - n;
const rotl = (x, n) => x << n | x >>> 32 - n;

const H = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

// words reads n little- or big-endian words; what lies behind the bytes is zero.
function words(bytes, n, little) {
  const b = new Uint8Array(4 * n);
  b.set(bytes.subarray(0, 4 * n));
  const v = new DataView(b.buffer);
  return Array.from({ length: n }, (_, i) => v.getUint32(4 * i, little));
}

function bytesOf(ws, little) {
  const v = new DataView(new ArrayBuffer(4 * ws.length));
  ws.forEach((w, i) => v.setUint32(4 * i, w, little));
  return new Uint8Array(v.buffer);
}

// BLAKE3.

const CHUNK_START = 1, CHUNK_END = 2, PARENT = 4, ROOT = 8;
const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];

// compress returns the chaining value of a block of 16 words.
function compress(cv, block, counter, length, flags) {
  const v = [...cv, H[0], H[1], H[2], H[3], counter >>> 0, Math.floor(counter / 2 ** 32), length, flags];
  let m = block;
  const g = (a, b, c, d, x, y) => {
    v[a] = v[a] + v[b] + x | 0; v[d] = rotr(v[d] ^ v[a], 16);
    v[c] = v[c] + v[d] | 0; v[b] = rotr(v[b] ^ v[c], 12);
    v[a] = v[a] + v[b] + y | 0; v[d] = rotr(v[d] ^ v[a], 8);
    v[c] = v[c] + v[d] | 0; v[b] = rotr(v[b] ^ v[c], 7);
  };
  for (let round = 0; round < 7; round++) {
    for (let i = 0; i < 4; i++) g(i, 4 + i, 8 + i, 12 + i, m[2 * i], m[2 * i + 1]);
    for (let i = 0; i < 4; i++) g(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4, m[8 + 2 * i], m[9 + 2 * i]);
    m = PERMUTATION.map(i => m[i]);
  }
  return cv.map((_, i) => v[i] ^ v[i + 8]);
}

function chunk(bytes, counter, root) {
  let cv = H;
  for (let at = 0; ; at += 64) {
    const block = bytes.subarray(at, at + 64), last = at + 64 >= bytes.length;
    cv = compress(cv, words(block, 16, true), counter, block.length, (at ? 0 : CHUNK_START) | (last ? CHUNK_END | root : 0));
    if (last) return cv;
  }
}

function tree(bytes, counter, root) {
  if (bytes.length <= 1024) return chunk(bytes, counter, root);
  let left = 1; // chunks: the largest power of two that leaves one byte at least
  while (left * 2048 < bytes.length) left *= 2;
  const pair = [...tree(bytes.subarray(0, left * 1024), counter, 0), ...tree(bytes.subarray(left * 1024), counter + left, 0)];
  return compress(H, pair, 0, 64, PARENT | root);
}

export const blake3 = bytes => bytesOf(tree(bytes, 0, ROOT), true);

// SHA-256.

// K are the first 32 bits of the fractional parts of the cube roots of the first 64 primes, exact in integers.
const K = (() => {
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every(p => n % p)) primes.push(n);
  return primes.map(p => {
    const n = BigInt(p) << 96n; // of its cube root the lowest 32 bits are wanted
    let root = 0n;
    for (let bit = 1n << 36n; bit; bit >>= 1n) if ((root | bit) ** 3n <= n) root |= bit;
    return Number(root & 0xffffffffn);
  });
})();

// padded adds what SHA-256 and RIPEMD-160 end a message with.
function padded(bytes, little) {
  const out = new Uint8Array(Math.ceil((bytes.length + 9) / 64) * 64), v = new DataView(out.buffer);
  out.set(bytes);
  out[bytes.length] = 0x80;
  v.setUint32(out.length - (little ? 8 : 4), bytes.length * 8, little);
  v.setUint32(out.length - (little ? 4 : 8), Math.floor(bytes.length / 2 ** 29), little);
  return out;
}

export function sha256(bytes) {
  const state = [...H], data = padded(bytes, false);
  for (let at = 0; at < data.length; at += 64) {
    const w = words(data.subarray(at, at + 64), 16, false);
    for (let i = 16; i < 64; i++) {
      const a = w[i - 15], b = w[i - 2];
      w[i] = w[i - 16] + (rotr(a, 7) ^ rotr(a, 18) ^ a >>> 3) + w[i - 7] + (rotr(b, 17) ^ rotr(b, 19) ^ b >>> 10) | 0;
    }
    let [a, b, c, d, e, f, g, h] = state;
    for (let i = 0; i < 64; i++) {
      const x = h + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + (e & f ^ ~e & g) + K[i] + w[i] | 0;
      const y = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + (a & b ^ a & c ^ b & c) | 0;
      [a, b, c, d, e, f, g, h] = [x + y | 0, a, b, c, d + x | 0, e, f, g];
    }
    [a, b, c, d, e, f, g, h].forEach((x, i) => { state[i] = state[i] + x | 0; });
  }
  return bytesOf(state, false);
}

// RIPEMD-160. Of each line's five rounds: word order, shifts and constants.

const RHO = [7, 4, 13, 1, 10, 6, 15, 3, 12, 0, 9, 5, 2, 14, 11, 8];
const ORDER = [Array.from({ length: 16 }, (_, i) => i), Array.from({ length: 16 }, (_, i) => (9 * i + 5) % 16)]
  .map(first => { const all = [first]; while (all.length < 5) all.push(all.at(-1).map(i => RHO[i])); return all; });
const SHIFT = [ // by round and word
  [11, 14, 15, 12, 5, 8, 7, 9, 11, 13, 14, 15, 6, 7, 9, 8], [12, 13, 11, 15, 6, 9, 9, 7, 12, 15, 11, 13, 7, 8, 7, 7],
  [13, 15, 14, 11, 7, 7, 6, 8, 13, 14, 13, 12, 5, 5, 6, 9], [14, 11, 12, 14, 8, 6, 5, 5, 15, 12, 15, 14, 9, 9, 8, 6],
  [15, 12, 13, 13, 9, 5, 8, 6, 14, 11, 12, 11, 8, 6, 5, 5]];
const ADD = [[0, 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xa953fd4e], [0x50a28be6, 0x5c4dd124, 0x6d703ef3, 0x7a6d76e9, 0]];
const MIX = [(x, y, z) => x ^ y ^ z, (x, y, z) => x & y | ~x & z, (x, y, z) => (x | ~y) ^ z, (x, y, z) => x & z | y & ~z, (x, y, z) => x ^ (y | ~z)];

export function ripemd160(bytes) {
  let h = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0];
  const data = padded(bytes, true);
  for (let at = 0; at < data.length; at += 64) {
    const w = words(data.subarray(at, at + 64), 16, true);
    const lines = [0, 1].map(line => {
      let [a, b, c, d, e] = h;
      for (let round = 0; round < 5; round++) {
        for (const i of ORDER[line][round]) {
          const t = rotl(a + MIX[line ? 4 - round : round](b, c, d) + w[i] + ADD[line][round] | 0, SHIFT[round][i]) + e | 0;
          [a, b, c, d, e] = [e, t, b, rotl(c, 10), d];
        }
      }
      return [a, b, c, d, e];
    });
    h = h.map((_, i) => h[(i + 1) % 5] + lines[0][(i + 2) % 5] + lines[1][(i + 3) % 5] | 0);
  }
  return bytesOf(h, true);
}
