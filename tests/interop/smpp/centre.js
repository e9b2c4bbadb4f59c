// A message centre on the server side of the npm package `smpp`, for tests/src/smpp_centre.rs.
//
//   node centre.js '{"modules": FOLDER, "port": N, "record": FILE, ...}'
//
// What a number ends in says what becomes of its text: 00 and 50 are refused, 25 is taken and will
// not arrive, every other one arrives. Whatever is submitted becomes a line of the record, written
// before it is answered.
'use strict';
const fs = require('fs');
const path = require('path');

const wish = JSON.parse(process.argv[2]);
const smpp = require(path.join(wish.modules, 'node_modules', 'smpp'));

const record = fs.openSync(wish.record, 'a');
const tls = wish.key ? { key: fs.readFileSync(wish.key), cert: fs.readFileSync(wish.cert) } : {};
let submits = 0;
let taken = 0;
let hasCut = false;
// Receipts for whom nobody is bound.
const waiting = [];

const server = smpp.createServer(tls, (session) => {
  session.on('error', () => session.destroy());
  // What was delivered and not answered is delivered again.
  session.unanswered = new Set();
  session.on('close', () => session.unanswered.forEach(deliver));
  session.on('bind_transceiver', (pdu) => bind(session, pdu));
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => session.send(pdu.response(), () => session.close()));
  session.on('submit_sm', (pdu) => submit(session, pdu));
});

function bind(session, pdu) {
  const isKnown = pdu.system_id === wish.system_id && pdu.password === wish.password;
  session.isBound = isKnown;
  const command_status = isKnown ? smpp.ESME_ROK : smpp.ESME_RBINDFAIL;
  session.send(pdu.response({ command_status, system_id: 'centre' }));
  if (isKnown) waiting.splice(0).forEach(deliver);
}

function submit(session, pdu) {
  submits += 1;
  const { total, place, text } = content(pdu);
  const asked = (pdu.registered_delivery & 1) === 1;
  const line = { to: pdu.destination_addr, receipt: asked, total, place, text };
  const end = (end, status, id) => {
    fs.writeSync(record, JSON.stringify({ ...line, end, id }) + '\n');
    const answer = pdu.response({ command_status: status, message_id: id ? hex(id) : '' });
    setTimeout(() => session.send(answer), wish.delay_ms || 0);
  };
  if (wish.cut_at && submits >= wish.cut_at && !hasCut) {
    hasCut = true;
    session.destroy();
  }
  if (session.closed || session.socket.destroyed) {
    // Nobody hears an answer.
    fs.writeSync(record, JSON.stringify({ ...line, end: 'cut' }) + '\n');
  } else if (wish.throttle_each && submits % wish.throttle_each === 0) {
    end('throttled', smpp.ESME_RTHROTTLED);
  } else if (/(00|50)$/.test(line.to)) {
    end('rejected', smpp.ESME_RINVDSTADR);
  } else {
    taken += 1;
    end('taken', smpp.ESME_ROK, taken);
    if (asked) receipts(pdu, taken);
  }
}

// Each third in decimal with zeros in front, the others in hexadecimal; one in ten is late, one in
// ten comes twice.
function receipts(pdu, number) {
  const id = number % 3 === 0 ? String(number).padStart(10, '0') : hex(number).toLowerCase();
  const stat = /25$/.test(pdu.destination_addr) ? 'UNDELIV' : 'DELIVRD';
  const receipt = {
    esm_class: 0x04,
    source_addr: pdu.destination_addr,
    destination_addr: pdu.source_addr,
    short_message: { message: `id:${id} sub:001 dlvrd:001 stat:${stat} err:000 text:` },
  };
  const after = (wish.delay_ms || 0) + (number % 10 === 1 ? 1500 : 20);
  setTimeout(() => deliver(receipt), after);
  if (number % 10 === 2) setTimeout(() => deliver(receipt), after + 300);
}

function deliver(receipt) {
  const session = server.sessions.find((one) => one.isBound && !one.closed);
  if (!session) {
    waiting.push(receipt);
    return;
  }
  session.unanswered.add(receipt);
  session.deliver_sm(receipt, (answer) => {
    session.unanswered.delete(receipt);
    // What was not taken comes again.
    if (answer.command_status !== smpp.ESME_ROK) setTimeout(() => deliver(receipt), 200);
  });
}

function hex(number) {
  return number.toString(16).toUpperCase();
}

// The part and its words. The package gives an information element with its own header, which
// for a part is 00 03 and then reference, total and place.
function content(pdu) {
  const { udh, message } = pdu.short_message;
  const element = udh && udh.find((one) => one[0] === 0);
  const [total, place] = element ? [element[3], element[4]] : [1, 1];
  return { total, place, text: String(message) };
}

server.listen(wish.port, '127.0.0.1', () => console.log('listening'));
