// Runs MatMulInteger in onnxruntime on one line of JSON after another:
// {"load": path, "m", "n", "k", "threads"} makes a session, {"run": id,
// "calls": c} answers the nanoseconds of c calls.
const ort = require('onnxruntime-node');
const lines = require('readline').createInterface({ input: process.stdin });
const sessions = [];
async function handle(q) {
  if (q.load) {
    const session = await ort.InferenceSession.create(q.load, {
      intraOpNumThreads: q.threads, interOpNumThreads: 1, executionProviders: ['cpu'], graphOptimizationLevel: 'all' });
    const x = Uint8Array.from({ length: q.m * q.k }, (_, i) => (i * 7 + (i >> 7)) & 255);
    const feeds = { x: new ort.Tensor('uint8', x, [q.m, q.k]) };
    // A result of its own, so that no call allocates.
    const fetches = { y: new ort.Tensor('int32', new Int32Array(q.m * q.n), [q.m, q.n]) };
    sessions.push({ session, feeds, fetches });
    return { id: sessions.length - 1, version: ort.env.versions.node || ort.env.versions.common };
  }
  const { session, feeds, fetches } = sessions[q.run];
  const begin = process.hrtime.bigint();
  for (let i = 0; i < q.calls; i++) await session.run(feeds, fetches);
  const ns = Number(process.hrtime.bigint() - begin);
  // Its threads spin for a while after a call: let them sleep before the next
  // burst, which is not theirs.
  await new Promise((done) => setTimeout(done, 20));
  return { ns };
}
(async () => {
  for await (const line of lines) {
    let answer;
    try { answer = await handle(JSON.parse(line)); } catch (e) { answer = { error: String(e) }; }
    process.stdout.write(JSON.stringify(answer) + '\n');
  }
})();
