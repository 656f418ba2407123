// A control process that does nothing. FAKE_CONTROL=blind: one that finds no cluster.
process.on('message', ({ kind }) => {
  if (kind === 'scout' && process.env.FAKE_CONTROL !== 'blind') process.send({ kind: 'found' });
  if (kind === 'start') process.send({ kind: 'http', url: `http://control/${process.pid}` });
  if (kind === 'stop') process.disconnect();
});
process.on('disconnect', () => process.exit(0));
process.send({ kind: 'loaded' });
