// A day of imapflow; fails with what went wrong, or prints "done".
const assert = require('assert');
const fs = require('fs');
const { ImapFlow } = require('imapflow');

const [host, port, ca, user, pass] = process.argv.slice(2);

async function day() {
  const client = new ImapFlow({
    host, port: Number(port), secure: true, tls: { ca: fs.readFileSync(ca) },
    auth: { user, pass }, logger: false,
  });
  await client.connect();
  await client.mailboxCreate(['Flow', 'Grün']);
  const boxes = await client.list({ statusQuery: { messages: true } });
  assert.equal(boxes.find((it) => it.path === 'Flow/Grün').status.messages, 0);
  let lock = await client.getMailboxLock('Flow/Grün');
  const letter = Buffer.from('Subject: =?utf-8?q?gr=C3=BCn?=\r\n\r\nHello.\r\n');
  const { uid } = await client.append('Flow/Grün', letter, ['\\Seen'], new Date('2024-01-01'));
  const wanted = { uid: true, flags: true, envelope: true, bodyStructure: true, source: true, threadId: true };
  for await (const message of client.fetch('1:*', wanted)) {
    assert.equal(message.envelope.subject, 'grün');
    assert.deepEqual(message.source, letter);
    assert(message.emailId && message.threadId);
  }
  assert.deepEqual(await client.search({ subject: 'grün', since: new Date('2020-01-01') }, { uid: true }), [uid]);
  assert(await client.messageFlagsAdd(String(uid), ['\\Flagged', '$label1'], { uid: true }));
  assert.equal((await client.messageCopy(String(uid), 'Flow/Grün', { uid: true })).uidMap.size, 1);
  assert.equal((await client.messageMove('2', 'INBOX')).uidMap.size, 1);
  assert(await client.messageDelete('1:*'));
  lock.release();
  assert.equal((await client.status('Flow/Grün', { messages: true })).messages, 0);
  await client.mailboxRename('Flow', 'Flowed');
  await client.mailboxDelete('Flowed/Grün');
  await assert.rejects(client.mailboxOpen('nowhere'), { serverResponseCode: 'NONEXISTENT' });
  await client.logout();
  console.log('done');
}

day().catch((error) => { console.error(error); process.exit(1); });
