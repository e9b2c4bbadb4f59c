// Has the npm package `standardwebhooks` judge deliveries: one JSON line each on standard input, with
// headers and body; one word each on standard output, `accepted` or `refused`.
//
//   node verify.js FOLDER SECRET
'use strict';
const path = require('path');
const readline = require('readline');

const [folder, secret] = process.argv.slice(2);
const { Webhook } = require(path.join(folder, 'node_modules', 'standardwebhooks'));
const webhook = new Webhook(secret);

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const { headers, body } = JSON.parse(line);
  try {
    webhook.verify(body, headers);
    console.log('accepted');
  } catch (error) {
    console.log('refused');
  }
});
